package burst

import (
	"slices"
	"testing"
	"time"

	"github.com/pierrec/lz4/v4"
	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst/pb"
	"github.com/streamkeeper/streamkeeper/internal/corpus"
)

// The benchmarks below go through the same bursts of 64 KiB and count their
// uncompressed bytes, so that their MB/s can be compared.

// benchBurst is a burst and how an encoding packs it.
type benchBurst struct{ plain, packed []byte }

// mixes are what the bursts of a benchmark are made of: telemetry as a vehicle
// sends it, some 550 bytes a StreamData, and the corpus's, 125 bytes each. The
// latter hold noise, which the decoder merely copies, and a third is JSON: the
// worst that the check can be measured by.
func mixes(tb testing.TB) map[string][][]byte {
	t := newTelemetry(1)
	var vehicle [][]byte
	for range 32 {
		vehicle = append(vehicle, t.burst(64<<10))
	}
	var corpusMix [][]byte
	var joined []byte
	for range 8 {
		for _, m := range corpus.Read[message](tb, corpus.Bursts) {
			if m.Expect != "ok" || *m.Size > 64<<10 {
				continue
			}
			enc, err := ParseEncoding(m.Encoding)
			if err != nil {
				tb.Fatal(err)
			}
			plain, err := Unpack(enc, m.Data, DefaultMaxBurst)
			if err != nil {
				tb.Fatal(err)
			}
			if joined = append(joined, plain...); len(joined) >= 64<<10 {
				corpusMix, joined = append(corpusMix, joined), nil
			}
		}
	}
	return map[string][][]byte{"vehicle": vehicle, "corpus": corpusMix}
}

func benchmark(b *testing.B, enc Encoding, body func(b *testing.B, bursts []benchBurst)) {
	all := mixes(b)
	for _, name := range []string{"vehicle", "corpus"} {
		b.Run(name, func(b *testing.B) {
			var bursts []benchBurst
			var plain, packed int
			for _, burst := range all[name] {
				data, err := Pack(enc, nil, burst)
				if err != nil {
					b.Fatal(err)
				}
				bursts = append(bursts, benchBurst{burst, data})
				plain += len(burst)
				packed += len(data)
			}
			b.SetBytes(int64(plain / len(bursts)))
			b.ReportAllocs()
			body(b, bursts)
			b.ReportMetric(float64(plain)/float64(packed), "ratio")
		})
	}
}

func BenchmarkBlockDecoderAlone(b *testing.B) {
	benchmark(b, Block, func(b *testing.B, bursts []benchBurst) {
		dst := make([]byte, 128<<10)
		for i := 0; b.Loop(); i++ {
			if _, err := lz4.UncompressBlock(bursts[i%len(bursts)].packed, dst); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBlockDecoderAndUnmarshal(b *testing.B) {
	benchmark(b, Block, func(b *testing.B, bursts []benchBurst) {
		dst := make([]byte, 128<<10)
		for i := 0; b.Loop(); i++ {
			n, err := lz4.UncompressBlock(bursts[i%len(bursts)].packed, dst)
			if err != nil {
				b.Fatal(err)
			}
			var burst pb.StreamDataBurst
			if err := proto.Unmarshal(dst[:n], &burst); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for _, enc := range Encodings() {
		b.Run(enc.String(), func(b *testing.B) {
			benchmark(b, enc, func(b *testing.B, bursts []benchBurst) {
				var c Checker
				for i := 0; b.Loop(); i++ {
					if r := c.Check(bursts[i%len(bursts)].packed, enc); r.Verdict != OK {
						b.Fatal(r.Reasons)
					}
				}
			})
		})
	}
}

// BenchmarkYardsticks takes turns between the work and what it is measured by, so
// that a busy machine is busy for both, and reports how they compare: the
// throughput of a check as a share of the decoder's (0.75 is wanted), and as a
// multiple of the decoder's with proto.Unmarshal (2 is wanted).
func BenchmarkYardsticks(b *testing.B) {
	benchmark(b, Block, func(b *testing.B, bursts []benchBurst) {
		var c Checker
		dst := make([]byte, 128<<10)
		var alone, check, unmarshal []float64
		timed := func(work func(data []byte)) float64 {
			start := time.Now()
			for _, burst := range bursts {
				work(burst.packed)
			}
			return time.Since(start).Seconds()
		}
		for b.Loop() {
			alone = append(alone, timed(func(data []byte) {
				lz4.UncompressBlock(data, dst)
			}))
			check = append(check, timed(func(data []byte) {
				c.Check(data, Block)
			}))
			unmarshal = append(unmarshal, timed(func(data []byte) {
				n, _ := lz4.UncompressBlock(data, dst)
				proto.Unmarshal(dst[:n], &pb.StreamDataBurst{})
			}))
		}
		b.ReportMetric(slices.Min(alone)/slices.Min(check), "of-decoder")
		b.ReportMetric(slices.Min(unmarshal)/slices.Min(check), "x-unmarshal")
	})
}

// BenchmarkWalk is the check without unpacking.
func BenchmarkWalk(b *testing.B) {
	benchmark(b, Block, func(b *testing.B, bursts []benchBurst) {
		for i := 0; b.Loop(); i++ {
			var w walk
			if !w.burst(bursts[i%len(bursts)].plain) {
				b.Fatal(w.reasons)
			}
		}
	})
}
