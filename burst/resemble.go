package burst

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// resemblance is what an invalid message looks like: a name for programs and the
// same for people.
type resemblance struct{ name, words string }

// signatures are how data of other kinds begins.
var signatures = []struct {
	begins string
	resemblance
}{
	{"LZ4Block", resemblance{"lz4_java_block_stream", "LZ4Block of lz4-java"}},
	{"\x1f\x8b\x08", resemblance{"gzip", "gzip"}},
	{"\x28\xb5\x2f\xfd", resemblance{"zstd", "zstd"}},
	{"\xff\x06\x00\x00sNaPpY", resemblance{"snappy", "snappy frames"}},
	{"BZh", resemblance{"bzip2", "bzip2"}},
	{"\xfd7zXZ\x00", resemblance{"xz", "xz"}},
	{"PK\x03\x04", resemblance{"zip", "zip"}},
}

// compareWithOthers adds what an invalid message, or what it holds, looks like
// instead. It tries the readings that make a message valid.
func (c *Checker) compareWithOthers(d *Detail, data []byte) {
	looks, found := c.resembles(data)
	where := "the message looks like "
	if !found && d.Furthest != "" && len(d.Tried) > 0 {
		looks, found = c.contentResembles(d, data)
		where = "what it holds looks like "
	}
	if !found {
		return
	}
	d.LooksLike = looks.name
	d.Short = looks.words
	d.Text = where + looks.words + "; " + d.Text
}

// resembles says what a message looks like as a whole.
func (c *Checker) resembles(data []byte) (resemblance, bool) {
	if r, ok := otherEncoding(c, data); ok {
		return r, true
	}
	for _, s := range signatures {
		if bytes.HasPrefix(data, []byte(s.begins)) {
			return s.resemblance, true
		}
	}
	for _, recognize := range []func([]byte) (resemblance, bool){
		c.plainBurst, plainText, c.otherLengths, c.moreBytes, c.wrongLength, deflated, c.asText,
	} {
		if r, ok := recognize(data); ok {
			return r, true
		}
	}
	return resemblance{}, false
}

// readable says how a message can be read that is given in another form.
func (c *Checker) readable(data []byte) (Encoding, bool) {
	inner := Checker{MaxBurst: min(c.maxBurst(), DefaultMaxBurst)}
	r := inner.Check(data, Auto)
	return r.Encoding, r.Verdict != Invalid
}

// otherEncoding is for a message that is only invalid because of the pinned one.
func otherEncoding(c *Checker, data []byte) (resemblance, bool) {
	if c.Pinned == Auto {
		return resemblance{}, false
	}
	enc, ok := c.readable(data)
	return resemblance{"other_encoding", fmt.Sprintf("%s, not %s as INSPECT_ENCODING says", enc, c.Pinned)}, ok
}

// plainBurst is for a burst that was not compressed, whole or cut off.
func (c *Checker) plainBurst(data []byte) (resemblance, bool) {
	var w walk
	valid := w.burst(data)
	at := 0
	for r := range w.reasons.All() {
		if r.Verdict() == Invalid {
			at = int(w.first[r])
		}
	}
	switch {
	case valid && w.kinds != [kindCount]int{}:
		return resemblance{"not_compressed", "a StreamDataBurst that is not compressed"}, true
	case !valid && beginsLikeBurst(data) && (at > 0 || len(data) > 8):
		return resemblance{"not_compressed", fmt.Sprintf("a StreamDataBurst that is not compressed, and invalid at byte %d", at)}, true
	}
	return streamDataAlone(data)
}

// streamDataAlone is for a StreamData without the burst around it.
func streamDataAlone(data []byte) (resemblance, bool) {
	var w walk
	if len(data) > 0 && data[0]>>3 >= byte(firstMember) && w.streamData(data, 0, 0, len(data)) && w.kinds != [kindCount]int{} && w.reasons == 0 {
		return resemblance{"stream_data", "a StreamData without the StreamDataBurst around it"}, true
	}
	return resemblance{}, false
}

// plainText is for JSON.
func plainText(data []byte) (resemblance, bool) {
	text := bytes.TrimLeft(data, " \t\r\n")
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return resemblance{}, false
	}
	if json.Valid(text) {
		return resemblance{"json", "JSON"}, true
	}
	if len(text) > 2 && text[0] == '{' && (text[1] == '"' || text[1] == ' ' || text[1] == '\n') {
		return resemblance{"json", "JSON that is cut off or damaged"}, true
	}
	return resemblance{}, false
}

// lengths are heads before an LZ4 block that none of the encodings has.
var lengths = []struct {
	resemblance
	head int
	size func(head []byte, rest int) (uint64, bool)
}{
	{resemblance{"big_endian_length", "an LZ4 block behind a big-endian length"}, 4, func(head []byte, _ int) (uint64, bool) {
		return uint64(binary.BigEndian.Uint32(head)), true
	}},
	{resemblance{"big_endian_lengths", "an LZ4 block behind two big-endian lengths, as Hadoop writes them"}, 8, func(head []byte, rest int) (uint64, bool) {
		return uint64(binary.BigEndian.Uint32(head)), uint64(binary.BigEndian.Uint32(head[4:])) == uint64(rest)
	}},
	{resemblance{"length_of_8_bytes", "an LZ4 block behind a little-endian length of 8 bytes"}, 8, func(head []byte, _ int) (uint64, bool) {
		return binary.LittleEndian.Uint64(head), true
	}},
	{resemblance{"big_endian_length_of_8_bytes", "an LZ4 block behind a big-endian length of 8 bytes"}, 8, func(head []byte, _ int) (uint64, bool) {
		return binary.BigEndian.Uint64(head), true
	}},
}

// otherLengths is for an LZ4 block behind a length in a form that none of the
// encodings has.
func (c *Checker) otherLengths(data []byte) (resemblance, bool) {
	for _, l := range lengths {
		if len(data) <= l.head {
			continue
		}
		rest := data[l.head:]
		if size, ok := l.size(data[:l.head], len(rest)); ok && c.holds(rest, size) {
			return l.resemblance, true
		}
	}
	if size, n := protowire.ConsumeVarint(data); n > 0 && c.holds(data[n:], size) {
		return resemblance{"varint_length", "an LZ4 block behind a base-128 length"}, true
	}
	return resemblance{}, false
}

// holds reports whether an LZ4 block is of so many bytes.
func (c *Checker) holds(block []byte, size uint64) bool {
	if len(block) == 0 || size == 0 || size > uint64(c.maxBurst()) {
		return false
	}
	s := walkSequences(block, 0, int(size))
	return s.what == "" && uint64(s.size) == size && s.ending(len(block)) != endBroken
}

// moreBytes is for a message with something before it or behind it.
func (c *Checker) moreBytes(data []byte) (resemblance, bool) {
	const most = 16
	for n := 1; n <= most && n < len(data); n++ {
		if magicOf(data[n:]) != Auto && !isSkippable(data[n:]) {
			if enc, ok := c.readable(data[n:]); ok {
				return resemblance{"bytes_before", fmt.Sprintf("%d bytes before a %s", n, enc)}, true
			}
		}
	}
	for _, enc := range []Encoding{SizePrefixedBlock, Wrap} {
		if n := c.bytesBehind(enc, data); n > 0 {
			return resemblance{"bytes_behind", fmt.Sprintf("a %s with %d bytes behind it", enc, n)}, true
		}
	}
	return resemblance{}, false
}

// wrongLength is for a head whose lengths are not those of the block behind it.
func (c *Checker) wrongLength(data []byte) (resemblance, bool) {
	if magicOf(data) != Auto {
		return resemblance{}, false
	}
	for _, enc := range []Encoding{SizePrefixedBlock, Wrap} {
		head := 4
		if enc == Wrap {
			head = 8
		}
		if len(data) <= head {
			continue
		}
		block := data[head:]
		size, compressed := binary.LittleEndian.Uint32(data), uint32(len(block))
		if enc == Wrap {
			compressed = binary.LittleEndian.Uint32(data[4:])
		}
		s := walkSequences(block, 0, c.maxBurst())
		inner := Checker{MaxBurst: c.maxBurst(), Pinned: Block}
		switch ends := s.what == "" || s.what == cutOff; {
		case !ends || !beginsBlock(block):
		case uint32(s.size) == size && uint32(len(block)) == compressed:
		case s.what == "" && inner.Check(block, Auto).Verdict != Invalid:
			return resemblance{"wrong_length", fmt.Sprintf("a %s of %d bytes in %d whose head says %d in %d", enc, s.size, len(block), size, compressed)}, true
		case compressed > uint32(len(block)) && uint64(size) <= maxExpansion*uint64(compressed):
			return resemblance{"cut_off", fmt.Sprintf("a wrap cut off at byte %d: %d bytes are missing", len(data), compressed-uint32(len(block)))}, true
		}
	}
	return resemblance{}, false
}

// beginsBlock reports whether an LZ4 block begins with a burst.
func beginsBlock(block []byte) bool {
	b := blockPart(block, nil, 256)
	return len(b) > 8 && beginsLikeBurst(b)
}

// bytesBehind is how many bytes follow a block whose head says how long it is; 0
// if it is not so. A block of a known length ends where it has that length.
func (c *Checker) bytesBehind(enc Encoding, data []byte) int {
	head := 4
	if enc == Wrap {
		head = 8
	}
	if len(data) <= head {
		return 0
	}
	size := int(binary.LittleEndian.Uint32(data))
	end := len(data) - 1
	if enc == Wrap {
		end = min(end, head+int(binary.LittleEndian.Uint32(data[4:])))
	}
	if size == 0 || size > c.maxBurst() {
		return 0
	}
	for first := max(head+1, end-64); end >= first; end-- {
		if c.holds(data[head:end], uint64(size)) {
			return len(data) - end
		}
		if enc == Wrap {
			break
		}
	}
	return 0
}

// deflated is for zlib data, whose first bytes are no proof.
func deflated(data []byte) (resemblance, bool) {
	if len(data) < 6 || data[0]&0x0f != 8 || binary.BigEndian.Uint16(data)%31 != 0 {
		return resemblance{}, false
	}
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return resemblance{}, false
	}
	if _, err := io.ReadFull(z, make([]byte, 16)); err != nil {
		return resemblance{}, false
	}
	return resemblance{"zlib", "zlib"}, true
}

// asText is for a message that went through a conversion to text.
func (c *Checker) asText(data []byte) (resemblance, bool) {
	if n := bytes.Count(data, []byte("\xef\xbf\xbd")); n > 4 && n > len(data)/30 {
		return resemblance{"text", "bytes that were converted to UTF-8 text, which loses some"}, true
	}
	if plain, ok := narrowed(data); ok {
		if enc, ok := c.readable(plain); ok {
			return resemblance{"text", fmt.Sprintf("a %s whose bytes were written as UTF-8 text", enc)}, true
		}
	}
	text := bytes.TrimRight(data, "\r\n")
	if len(text) < 8 {
		return resemblance{}, false
	}
	plain := make([]byte, len(text))
	if n, err := hex.Decode(plain, text); err == nil {
		if _, ok := c.readable(plain[:n]); ok {
			return resemblance{"hex", "a message written in hexadecimal"}, true
		}
	}
	if n, err := base64.StdEncoding.Decode(plain, text); err == nil {
		if enc, ok := c.readable(plain[:n]); ok {
			return resemblance{"base64", fmt.Sprintf("Base64 of a %s", enc)}, true
		}
	}
	return resemblance{}, false
}

// narrowed undoes that each byte was taken for a character and written as UTF-8.
func narrowed(data []byte) ([]byte, bool) {
	if !utf8.Valid(data) {
		return nil, false
	}
	plain := make([]byte, 0, len(data))
	for _, r := range string(data) {
		if r > 0xff {
			return nil, false
		}
		plain = append(plain, byte(r))
	}
	return plain, len(plain) < len(data)
}

// contentResembles says what that looks like which the message holds in the
// encoding that came furthest.
func (c *Checker) contentResembles(d *Detail, data []byte) (resemblance, bool) {
	enc, err := ParseEncoding(d.Furthest)
	if err != nil || enc == Auto {
		return resemblance{}, false
	}
	b, f := c.unpacker.unpack(enc, data, c.maxBurst())
	if f.err != nil || len(b) == 0 || len(b) > 4*AllowedBurst {
		return resemblance{}, false
	}
	if inner, ok := c.readable(b); ok && (inner != Pickle || b[0] != 0) {
		return resemblance{"compressed_twice", fmt.Sprintf("a %s: compressed twice", inner)}, true
	}
	for _, s := range signatures {
		if bytes.HasPrefix(b, []byte(s.begins)) {
			return s.resemblance, true
		}
	}
	if size, n := protowire.ConsumeVarint(b); n > 0 && size == uint64(len(b)-n) {
		var w walk
		if w.burst(b[n:]) {
			return resemblance{"delimited", "a StreamDataBurst behind its length (writeDelimitedTo)"}, true
		}
	}
	if r, ok := plainText(b); ok {
		return r, true
	}
	return streamDataAlone(b)
}
