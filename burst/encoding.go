package burst

import (
	"fmt"
	"strings"
)

// Encoding is a way in which producers wrap LZ4 data into a message. Its text
// form is the name below; the zero value stands for "not known" and is written
// as the empty string.
type Encoding uint8

// The encodings, in the order of preference when several would do.
const (
	// Auto leaves the choice to the [Checker]; in a [Result] it says that no
	// encoding gave a valid burst.
	Auto Encoding = iota
	// Frame is the LZ4 frame format ("LZ4 Frame Format Description"): a
	// descriptor, blocks, an end mark, checksums.
	Frame
	// LegacyFrame is the older frame of the same description: blocks of up to
	// 8 MiB with their compressed lengths, ended by the end of the message.
	LegacyFrame
	// Pickle is the output of K4os.Compression.LZ4's LZ4Pickler, version 0.
	Pickle
	// SizePrefixedBlock is an LZ4 block behind its uncompressed length in four
	// bytes, little-endian: python-lz4's store_size, lz4-java and others.
	SizePrefixedBlock
	// Wrap is the output of lz4net's LZ4Codec.Wrap: uncompressed and compressed
	// length, each in four bytes, little-endian, then an LZ4 block.
	Wrap
	// Block is a bare LZ4 block ("LZ4 Block Format Description"). Nothing says
	// how long it is uncompressed.
	Block
)

var encodingNames = [...]string{"", "frame", "legacy-frame", "pickle", "size-prefixed-block", "wrap", "block"}

// String returns the encoding's name, and the empty string for [Auto].
func (e Encoding) String() string {
	if int(e) >= len(encodingNames) {
		return fmt.Sprintf("Encoding(%d)", uint8(e))
	}
	return encodingNames[e]
}

// ParseEncoding returns the encoding of a name. "auto" and the empty string
// mean [Auto].
func ParseEncoding(name string) (Encoding, error) {
	if name == "auto" {
		return Auto, nil
	}
	for i, known := range encodingNames {
		if name == known {
			return Encoding(i), nil
		}
	}
	return Auto, fmt.Errorf("unknown encoding %q, want auto or one of %s", name, strings.Join(encodingNames[1:], ", "))
}

// Encodings returns all encodings but [Auto], in the order of preference.
func Encodings() []Encoding {
	return []Encoding{Frame, LegacyFrame, Pickle, SizePrefixedBlock, Wrap, Block}
}
