package burst

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// parts joins bytes, strings and slices; uint32 are written little-endian.
func parts(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case int:
			b = append(b, byte(v))
		case string:
			b = append(b, v...)
		case []byte:
			b = append(b, v...)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, v)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	return b
}

// frameHead is a frame's magic number and descriptor with its checksum.
func frameHead(descriptor ...any) []byte {
	d := parts(descriptor...)
	return parts(uint32(frameMagic), d, int(xxh32(d)>>8&0xff))
}

// Two blocks that say "abcabcabcabcabc-12345": a bare one, and one whose match
// reaches into what came before it.
var (
	abcBlock  = parts(0x38, "abc", 3, 0, 0x60, "-12345")
	abc       = "abcabcabcabcabc-12345"
	nearBlock = parts(0x37, "abc", 3, 0, 0x60, "-12345") // "abcabcabcabcab-12345": its match is one shorter
	linkBlock = parts(0x0f, 21, 0, 2, 0x60, "-12345")    // a match of 21 over 21
)

const (
	plainFLG = 0x60 // version 1, independent blocks
	bd64K    = 0x40
)

func TestUnpacking(t *testing.T) {
	n := uint32(len(abcBlock))
	contentSize := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	for _, test := range []struct {
		name string
		enc  Encoding
		data []byte
		want string
		err  error
	}{
		{"a block", Block, abcBlock, abc, nil},
		{"a block of nothing", Block, parts(0), "", nil},
		{"no block at all", Block, nil, "", ErrUnreadable},
		{"a block cut off in its literals", Block, abcBlock[:len(abcBlock)-1], "", ErrUnreadable},
		{"a block cut off behind a match", Block, abcBlock[:6], "", ErrUnreadable},
		{"a block cut off in an offset", Block, abcBlock[:5], "", ErrUnreadable},
		{"a block that ends with a match", Block, parts(0x38, "abc", 3, 0), "", ErrUnreadable},
		{"a block with fewer than five literals at its end", Block, parts(0x38, "abc", 3, 0, 0x40, "-123"), "", ErrUnreadable},
		{"a block whose match reaches before it", Block, linkBlock, "", ErrUnreadable},
		{"a block with a match at offset 0", Block, parts(0x38, "abc", 0, 0, 0x60, "-12345"), "", ErrUnreadable},
		{"a block with a length that never ends", Block, parts(0xf0, bytes.Repeat([]byte{255}, 100)), "", ErrUnreadable},

		{"a size-prefixed block", SizePrefixedBlock, parts(uint32(21), abcBlock), abc, nil},
		{"a size-prefixed block that is longer than it says", SizePrefixedBlock, parts(uint32(20), abcBlock), "", ErrUnreadable},
		{"a size-prefixed block that is shorter than it says", SizePrefixedBlock, parts(uint32(22), abcBlock), "", ErrUnreadable},
		{"a size-prefixed block that says it is impossibly long", SizePrefixedBlock, parts(uint32(math.MaxUint32), abcBlock), "", ErrUnreadable},
		{"a size-prefixed block without the block", SizePrefixedBlock, parts(uint32(0)), "", ErrUnreadable},
		{"a size prefix cut off", SizePrefixedBlock, parts(0, 0, 0), "", ErrUnreadable},

		{"a pickle", Pickle, parts(1<<6, int(21-n), abcBlock), abc, nil},
		{"a pickle with a difference in two bytes", Pickle, parts(2<<6, int(21-n), 0, abcBlock), abc, nil},
		{"a pickle with a difference in four bytes", Pickle, parts(3<<6, 21-n, abcBlock), abc, nil},
		{"a pickle that is stored", Pickle, parts(0, abc), abc, nil},
		{"a pickle that is stored with a difference of 0", Pickle, parts(2<<6, 0, 0, abc), abc, nil},
		{"a pickle of another version", Pickle, parts(1<<6|1, int(21-n), abcBlock), "", ErrUnreadable},
		{"a pickle with a bit set that has no meaning", Pickle, parts(1<<6|8, int(21-n), abcBlock), "", ErrUnreadable},
		{"a pickle that is longer than it says", Pickle, parts(1<<6, int(20-n), abcBlock), "", ErrUnreadable},
		{"a pickle cut off in its difference", Pickle, parts(3<<6, 1, 0), "", ErrUnreadable},
		{"no pickle at all", Pickle, nil, "", ErrUnreadable},

		{"a wrap", Wrap, parts(uint32(21), n, abcBlock), abc, nil},
		{"a wrap that is stored", Wrap, parts(uint32(21), uint32(21), abc), abc, nil},
		{"a wrap that is longer than it says", Wrap, parts(uint32(20), n, abcBlock), "", ErrUnreadable},
		{"a wrap with something behind it", Wrap, parts(uint32(21), n, abcBlock, 0), "", ErrUnreadable},
		{"a wrap cut off", Wrap, parts(uint32(21), n, abcBlock[:7]), "", ErrUnreadable},
		{"a wrap cut off in its head", Wrap, parts(uint32(0), 0, 0, 0), "", ErrUnreadable},

		{"a frame", Frame, parts(frameHead(plainFLG, bd64K), n, abcBlock, uint32(0)), abc, nil},
		{"a frame of nothing", Frame, parts(frameHead(plainFLG, bd64K), uint32(0)), "", nil},
		{"a frame with all checksums and a size", Frame, parts(
			frameHead(plainFLG|flgBlockChecksum|flgContentChecksum|flgContentSize, bd64K, contentSize(21)),
			n, abcBlock, xxh32(abcBlock), uint32(0), xxh32([]byte(abc))), abc, nil},
		{"a frame with a stored block", Frame, parts(frameHead(plainFLG, bd64K), uint32(storedBlock|21), abc, uint32(0)), abc, nil},
		{"a frame of two blocks", Frame, parts(frameHead(plainFLG, bd64K), n, abcBlock, n, abcBlock, uint32(0)), abc + abc, nil},
		{"a frame of linked blocks", Frame, parts(frameHead(0x40, bd64K), n, abcBlock, uint32(len(linkBlock)), linkBlock, uint32(0)), abc + abc + "-12345", nil},
		{"a frame of blocks that are linked and must not be", Frame, parts(frameHead(plainFLG, bd64K), n, abcBlock, uint32(len(linkBlock)), linkBlock, uint32(0)), "", ErrUnreadable},
		{"a frame whose header checksum is wrong", Frame, parts(uint32(frameMagic), plainFLG, bd64K, 0, n, abcBlock, uint32(0)), "", ErrChecksum},
		{"a frame whose block checksum is wrong", Frame, parts(frameHead(plainFLG|flgBlockChecksum, bd64K), n, abcBlock, uint32(1), uint32(0)), "", ErrChecksum},
		{"a frame whose content checksum is wrong", Frame, parts(frameHead(plainFLG|flgContentChecksum, bd64K), n, abcBlock, uint32(0), uint32(1)), "", ErrChecksum},
		{"a frame whose size is wrong", Frame, parts(frameHead(plainFLG|flgContentSize, bd64K, contentSize(22)), n, abcBlock, uint32(0)), "", ErrUnreadable},
		{"a frame whose size is impossible", Frame, parts(frameHead(plainFLG|flgContentSize, bd64K, contentSize(math.MaxUint64)), n, abcBlock, uint32(0)), "", ErrUnreadable},
		{"a frame without its end mark", Frame, parts(frameHead(plainFLG, bd64K), n, abcBlock), "", ErrUnreadable},
		{"a frame cut off in its content checksum", Frame, parts(frameHead(plainFLG|flgContentChecksum, bd64K), n, abcBlock, uint32(0), 0, 0), "", ErrUnreadable},
		{"a frame with a byte behind it", Frame, parts(frameHead(plainFLG, bd64K), n, abcBlock, uint32(0), 0), "", ErrTrailing},
		{"a frame behind a frame", Frame, parts(frameHead(plainFLG, bd64K), n, abcBlock, uint32(0), frameHead(plainFLG, bd64K), n, abcBlock, uint32(0)), "", ErrConcatenated},
		{"a legacy frame behind a frame", Frame, parts(frameHead(plainFLG, bd64K), n, abcBlock, uint32(0), uint32(legacyFrameMagic), n, abcBlock), "", ErrConcatenated},
		{"a skippable frame behind a frame", Frame, parts(frameHead(plainFLG, bd64K), n, abcBlock, uint32(0), uint32(skippableMagic+7), uint32(0)), "", ErrSkippable},
		{"a skippable frame before a frame", Frame, parts(uint32(skippableMagic+15), uint32(2), "ab", frameHead(plainFLG, bd64K), n, abcBlock, uint32(0)), "", ErrSkippable},
		{"a frame with a block that ends near a match, which has a larger buffer", Frame, parts(frameHead(plainFLG, bd64K), uint32(len(nearBlock)), nearBlock, uint32(0)), "abcabcabcabcab-12345", nil},
		{"a frame with a block whose end no buffer suffices for", Frame, parts(frameHead(plainFLG, bd64K), uint32(10), 0x38, "abc", 3, 0, 0x40, "-123", uint32(0)), "", ErrUnreadable},
		{"a frame of another version", Frame, parts(frameHead(0x20, bd64K), n, abcBlock, uint32(0)), "", ErrUnreadable},
		{"a frame with a reserved bit", Frame, parts(frameHead(plainFLG|flgReserved, bd64K), n, abcBlock, uint32(0)), "", ErrUnreadable},
		{"a frame with another reserved bit", Frame, parts(frameHead(plainFLG, bd64K|1), n, abcBlock, uint32(0)), "", ErrUnreadable},
		{"a frame with a block size that does not exist", Frame, parts(frameHead(plainFLG, 0x30), n, abcBlock, uint32(0)), "", ErrUnreadable},
		{"a frame with a dictionary", Frame, parts(frameHead(plainFLG|flgDictID, bd64K, uint32(1)), n, abcBlock, uint32(0)), "", ErrUnreadable},
		{"a frame with a block that is longer than it may be", Frame, parts(frameHead(plainFLG, bd64K), uint32(storedBlock|65537), make([]byte, 65537), uint32(0)), "", ErrUnreadable},
		{"a frame with a block that expands to more than it may", Frame, parts(frameHead(plainFLG, bd64K), longBlock(65537), uint32(0)), "", ErrUnreadable},
		{"a frame's magic number alone", Frame, parts(uint32(frameMagic)), "", ErrUnreadable},
		{"a skippable frame", Frame, parts(uint32(0x184D2A50), uint32(0)), "", ErrSkippable},

		{"a legacy frame", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock), abc, nil},
		{"a legacy frame of two blocks", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock, n, abcBlock), abc + abc, nil},
		{"a legacy frame cut off", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock[:9]), "", ErrUnreadable},
		{"a legacy frame cut off in a block's size", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock, 0, 0), "", ErrLegacyTrailing},
		{"a legacy frame with a text behind it", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock, "and more"), "", ErrLegacyTrailing},
		{"a legacy frame with zeros behind it", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock, uint32(0)), "", ErrLegacyTrailing},
		{"a legacy frame with a skippable frame behind it", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock, uint32(skippableMagic), uint32(0)), "", ErrSkippable},
		{"a frame behind a legacy frame", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock, frameHead(plainFLG, bd64K), uint32(0)), "", ErrConcatenated},
		{"a legacy frame of nothing", LegacyFrame, parts(uint32(legacyFrameMagic), 1), "", ErrUnreadable},
		{"a legacy frame that begins with an impossible length", LegacyFrame, parts(uint32(legacyFrameMagic), uint32(legacyBound+1), abcBlock), "", ErrUnreadable},
		{"a legacy frame with an empty block", LegacyFrame, parts(uint32(legacyFrameMagic), uint32(0)), "", ErrUnreadable},
		{"a legacy frame behind a legacy frame", LegacyFrame, parts(uint32(legacyFrameMagic), n, abcBlock, uint32(legacyFrameMagic), n, abcBlock), "", ErrConcatenated},
		{"a legacy frame with a block that expands to more than it may", LegacyFrame, parts(uint32(legacyFrameMagic), longBlock(legacyBlockSize+1)), "", ErrUnreadable},
		{"a frame that should be a legacy frame", LegacyFrame, parts(frameHead(plainFLG, bd64K), n, abcBlock, uint32(0)), "", ErrUnreadable},

		{"nothing in particular", Auto, abcBlock, "", ErrUnreadable},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Unpack(test.enc, test.data, DefaultMaxBurst)
			if !errors.Is(err, test.err) || err == nil && string(got) != test.want {
				t.Errorf("fresh: %q, %v, want %q, %v", shorten(got), err, shorten([]byte(test.want)), test.err)
			}
			// A buffer that is there already takes another path through the code.
			for _, size := range []int{1, len(test.want), len(test.want) + 1, 1 << 20} {
				u := unpacker{buf: make([]byte, size)}
				got, f := u.unpack(test.enc, test.data, DefaultMaxBurst)
				if err := f.err; !errors.Is(err, test.err) || err == nil && string(got) != test.want {
					t.Errorf("with a buffer of %d: %q, %v, want %q, %v", size, shorten(got), f, shorten([]byte(test.want)), test.err)
				}
			}
		})
	}
}

// longBlock is a block's length and an LZ4 block that expands to n bytes.
func longBlock(n int) []byte {
	block := appendLength(parts(0x1f, 0, 1, 0), n-1-5-4)
	block = append(block, 0x50, 0, 0, 0, 0, 0)
	return parts(uint32(len(block)), block)
}

func shorten(b []byte) []byte { return b[:min(len(b), 40)] }

func TestNothingLongerThanTheLimitIsUnpacked(t *testing.T) {
	burst := newTelemetry(2).burst(100 << 10)
	noise := make([]byte, 100<<10)
	newTelemetry(3).fill(noise)
	for _, enc := range Encodings() {
		for name, src := range map[string][]byte{"telemetry": burst, "noise": noise} {
			t.Run(enc.String()+" of "+name, func(t *testing.T) {
				data, err := Pack(enc, nil, src)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range []unpacker{{}, {buf: make([]byte, 1000)}, {buf: make([]byte, 1<<20)}} {
					if got, err := u.unpack(enc, data, len(src)); err.err != nil || !bytes.Equal(got, src) {
						t.Errorf("at the limit: %d bytes, %v", len(got), err)
					}
					if got, err := u.unpack(enc, data, len(src)-1); !errors.Is(err.err, ErrTooLarge) {
						t.Errorf("past the limit: %d bytes, %v", len(got), err)
					}
				}
			})
		}
	}
}

func TestWhatIsPackedIsUnpacked(t *testing.T) {
	telemetry := bytes.Repeat(newTelemetry(1).burst(1<<20), 9)
	for _, size := range []int{0, 1, 5, 100, 1000, 64 << 10, 300 << 10, len(telemetry)} {
		burst := telemetry[:size]
		encodings := Encodings()
		if size == len(telemetry) {
			encodings = []Encoding{Frame, LegacyFrame} // which alone have several blocks then
		}
		for _, enc := range encodings {
			t.Run(fmt.Sprintf("%s of %d bytes", enc, size), func(t *testing.T) {
				data, err := Pack(enc, []byte("before"), burst)
				if err != nil || !bytes.HasPrefix(data, []byte("before")) {
					t.Fatalf("%.10q, %v", data, err)
				}
				got, err := Unpack(enc, data[len("before"):], DefaultMaxBurst)
				if err != nil || !bytes.Equal(got, burst) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
	}
}

func TestPackingAsNothingInParticularIsAnError(t *testing.T) {
	if data, err := Pack(Auto, nil, []byte("abc")); err == nil {
		t.Errorf("packed to %q", data)
	}
}

// The file is from the lz4 tool: `lz4 -B4 -BD -BX --content-size`.
func TestAFrameOfLinkedBlocksFromTheReferenceImplementation(t *testing.T) {
	data, err := os.ReadFile("testdata/linked.lz4")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unpack(Frame, data, DefaultMaxBurst)
	if want := strings.Repeat("All work and no play makes Jack a dull boy. ", 5000); string(got) != want || err != nil {
		t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
	}
	if n := bytes.Count(data, []byte("All work")); n >= 4 {
		t.Errorf("four blocks have the text %d times: they are not linked", n)
	}
}

func TestFramesAreReadAsTheLibraryReadsThem(t *testing.T) {
	burst := newTelemetry(5).burst(200 << 10)
	for _, options := range [][]lz4.Option{
		{lz4.BlockSizeOption(lz4.Block64Kb)},
		{lz4.BlockSizeOption(lz4.Block256Kb), lz4.BlockChecksumOption(true)},
		{lz4.BlockSizeOption(lz4.Block1Mb), lz4.ChecksumOption(false), lz4.SizeOption(uint64(len(burst)))},
		{lz4.BlockSizeOption(lz4.Block4Mb), lz4.CompressionLevelOption(lz4.Level9)},
		{lz4.LegacyOption(true)},
	} {
		var buf bytes.Buffer
		w := lz4.NewWriter(&buf)
		if err := errors.Join(w.Apply(options...), second(w.Write(burst)), w.Close()); err != nil {
			t.Fatal(err)
		}
		got, err := Unpack(magicOf(buf.Bytes()), buf.Bytes(), DefaultMaxBurst)
		if err != nil || !bytes.Equal(got, burst) {
			t.Errorf("%v: %d bytes, %v", options, len(got), err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestPackedFramesAreReadByTheLibrary(t *testing.T) {
	burst := newTelemetry(6).burst(200 << 10)
	for _, enc := range []Encoding{Frame, LegacyFrame} {
		data, err := Pack(enc, nil, burst)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(lz4.NewReader(bytes.NewReader(data)))
		if err != nil || !bytes.Equal(got, burst) {
			t.Errorf("%s: %d bytes, %v", enc, len(got), err)
		}
	}
}
