package burst

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/pierrec/lz4/v4"
)

// Pack appends src to dst, packed in the given encoding as its producers would,
// and returns the extended buffer. The encoding must not be [Auto]; those with
// lengths in four bytes take at most 4 GiB less one byte.
func Pack(enc Encoding, dst, src []byte) ([]byte, error) {
	if uint64(len(src)) > math.MaxUint32 && (enc == SizePrefixedBlock || enc == Wrap) {
		return dst, fmt.Errorf("writing %d bytes as %s: too long for its length field", len(src), enc)
	}
	var err error
	switch enc {
	case Frame:
		dst, err = packFrame(dst, src)
	case LegacyFrame:
		dst, err = packLegacyFrame(dst, src)
	case Pickle:
		dst, err = packPickle(dst, src)
	case SizePrefixedBlock:
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(src)))
		dst, err = packBlock(dst, src)
	case Wrap:
		dst, err = packWrap(dst, src)
	case Block:
		dst, err = packBlock(dst, src)
	default:
		return dst, fmt.Errorf("writing as %q: not an encoding", enc)
	}
	if err != nil {
		return dst, fmt.Errorf("writing %d bytes as %s: %w", len(src), enc, err)
	}
	return dst, nil
}

// packBlock appends an LZ4 block.
func packBlock(dst, src []byte) ([]byte, error) {
	at := len(dst)
	bound := lz4.CompressBlockBound(len(src))
	dst = append(dst, make([]byte, bound)...)
	n, err := lz4.CompressBlock(src, dst[at:], nil)
	return dst[:at+n], err
}

func packFrame(dst, src []byte) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	w := lz4.NewWriter(buf)
	err := w.Apply(
		lz4.BlockSizeOption(lz4.Block64Kb),
		lz4.ChecksumOption(true),
		lz4.SizeOption(uint64(len(src))),
		lz4.ConcurrencyOption(1),
	)
	if err == nil {
		_, err = w.Write(src)
	}
	if err == nil {
		err = w.Close()
	}
	return buf.Bytes(), err
}

func packLegacyFrame(dst, src []byte) ([]byte, error) {
	dst = binary.LittleEndian.AppendUint32(dst, legacyFrameMagic)
	for len(src) > 0 {
		block := src[:min(len(src), legacyBlockSize)]
		src = src[len(block):]
		at := len(dst)
		var err error
		if dst, err = packBlock(append(dst, 0, 0, 0, 0), block); err != nil {
			return dst, err
		}
		binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst, nil
}

// packPickle stores what compression does not make shorter.
func packPickle(dst, src []byte) ([]byte, error) {
	block, err := packBlock(nil, src)
	if err != nil {
		return dst, err
	}
	difference := len(src) - len(block)
	switch {
	case difference <= 0:
		return append(append(dst, 0), src...), nil
	case difference <= math.MaxUint8:
		dst = append(dst, 1<<6, byte(difference))
	case difference <= math.MaxUint16:
		dst = binary.LittleEndian.AppendUint16(append(dst, 2<<6), uint16(difference))
	default:
		dst = binary.LittleEndian.AppendUint32(append(dst, 3<<6), uint32(difference))
	}
	return append(dst, block...), nil
}

// packWrap stores what compression does not make shorter.
func packWrap(dst, src []byte) ([]byte, error) {
	block, err := packBlock(nil, src)
	if err != nil {
		return dst, err
	}
	if len(block) >= len(src) {
		block = src
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(src)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(block)))
	return append(dst, block...), nil
}
