package inspect

import (
	"hash/maphash"
	"strconv"

	"github.com/streamkeeper/streamkeeper/burst"
)

// The fields of a message, as the RTA documentation names them.
const (
	fieldID   = "id"
	fieldData = "data"
)

// judge makes verdicts. It must not be used by several goroutines at once.
type judge struct {
	checker burst.Checker
	decode  bool
}

func newJudge(o Options) *judge {
	return &judge{checker: burst.Checker{MaxBurst: o.MaxBurst, Pinned: o.Encoding}, decode: o.Decode}
}

// longest is the length in bytes past which a payload is too large for any
// burst that is allowed. Where LZ4 cannot compress, it adds less than a
// hundredth, and a frame some bytes for each of its blocks.
func (j *judge) longest() int64 {
	most := int64(j.checker.MaxBurst)
	if most <= 0 {
		most = burst.DefaultMaxBurst
	}
	return most + most/16 + 64<<10
}

// fields judges a message of a stream: names and values in turn.
func (j *judge) fields(m *Message, fields []string, hint burst.Encoding) {
	var found [2]int
	var data string
	var unknown bool
	for i := 0; i+1 < len(fields); i += 2 {
		switch fields[i] {
		case fieldID:
			if found[0]++; found[0] == 1 {
				m.SessionID = fields[i+1]
			}
		case fieldData:
			if found[1]++; found[1] == 1 {
				data = fields[i+1]
			}
		default:
			unknown = true
		}
	}
	m.note(FieldUnknown, burst.Warn, unknown)
	m.note(FieldRepeated, burst.Warn, found[0] > 1 || found[1] > 1)
	m.note(IDMissing, burst.Invalid, found[0] == 0)
	_, err := strconv.ParseUint(m.SessionID, 10, 64)
	m.note(IDNotNumber, burst.Invalid, found[0] > 0 && err != nil)
	m.note(DataMissing, burst.Invalid, found[1] == 0)
	if found[1] > 0 {
		j.payload(m, []byte(data), hint)
	}
}

// payload judges what the `data` field of a message holds, or a file.
func (j *judge) payload(m *Message, data []byte, hint burst.Encoding) {
	var result burst.Result
	if j.decode {
		result, m.Content = j.checker.Decode(data, hint)
	} else {
		result = j.checker.Check(data, hint)
	}
	for r := range result.Reasons.All() {
		m.note(Reason(r.String()), r.Verdict(), true)
	}
	m.Encoding = result.Encoding
	m.CompressedBytes, m.Size = int64(result.Compressed), int64(result.Size)
	m.Kinds = make(map[string]int)
	for kind, n := range result.KindCounts() {
		m.Kinds[kind.String()] = n
	}
}

// unread judges a payload that is too long to be read.
func (j *judge) unread(m *Message, bytes int64) {
	m.note(Reason(burst.TooLarge.String()), burst.Invalid, true)
	m.CompressedBytes = bytes
}

// note gives the message a reason, if it has it.
func (m *Message) note(r Reason, verdict burst.Verdict, has bool) {
	if has {
		m.Reasons = append(m.Reasons, r)
		m.Verdict = max(m.Verdict, verdict)
	}
}

// packings remembers how the messages of each stream were packed. It keeps a
// hash of the name; a stream that shares one with another is only tried with
// the wrong encoding first.
type packings struct {
	seed maphash.Seed
	seen map[uint64]burst.Encoding
}

// maxPackings bounds what is remembered to a few megabytes.
const maxPackings = 1 << 17

func newPackings() *packings {
	return &packings{seed: maphash.MakeSeed(), seen: make(map[uint64]burst.Encoding)}
}

func (p *packings) get(stream string) burst.Encoding {
	return p.seen[maphash.String(p.seed, stream)]
}

func (p *packings) put(stream string, enc burst.Encoding) {
	if enc == burst.Auto {
		return
	}
	if len(p.seen) >= maxPackings {
		clear(p.seen)
	}
	p.seen[maphash.String(p.seed, stream)] = enc
}
