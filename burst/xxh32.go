package burst

import (
	"encoding/binary"
	"math/bits"
)

// xxh32 returns the checksum that LZ4 frames carry: XXH32 of data with seed 0,
// as the xxHash specification describes it. The LZ4 library keeps its own to
// itself.
func xxh32(data []byte) uint32 {
	const (
		prime1 uint32 = 2654435761
		prime2 uint32 = 2246822519
		prime3 uint32 = 3266489917
		prime4 uint32 = 668265263
		prime5 uint32 = 374761393
	)
	h := prime5
	length := uint32(len(data))
	if len(data) >= 16 {
		var a, b, c, d uint32 = prime1, prime2, 0, 0
		a += prime2
		d -= prime1
		for ; len(data) >= 16; data = data[16:] {
			lanes := data[:16:len(data)]
			a = bits.RotateLeft32(a+binary.LittleEndian.Uint32(lanes[0:])*prime2, 13) * prime1
			b = bits.RotateLeft32(b+binary.LittleEndian.Uint32(lanes[4:])*prime2, 13) * prime1
			c = bits.RotateLeft32(c+binary.LittleEndian.Uint32(lanes[8:])*prime2, 13) * prime1
			d = bits.RotateLeft32(d+binary.LittleEndian.Uint32(lanes[12:])*prime2, 13) * prime1
		}
		h = bits.RotateLeft32(a, 1) + bits.RotateLeft32(b, 7) + bits.RotateLeft32(c, 12) + bits.RotateLeft32(d, 18)
	}
	h += length
	for ; len(data) >= 4; data = data[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(data)*prime3, 17) * prime4
	}
	for _, x := range data {
		h = bits.RotateLeft32(h+uint32(x)*prime5, 11) * prime1
	}
	h = (h ^ h>>15) * prime2
	h = (h ^ h>>13) * prime3
	return h ^ h>>16
}
