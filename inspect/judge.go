package inspect

import (
	"context"
	"fmt"
	"hash/maphash"
	"strconv"

	"github.com/streamkeeper/streamkeeper/buffer"
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
	keep    bool // the payload
}

func newJudge(o Options) *judge {
	return &judge{checker: burst.Checker{MaxBurst: o.MaxBurst, Pinned: o.Encoding}, decode: o.Decode, keep: o.Keep}
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
	var others []string
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
			others = append(others, fields[i])
		}
	}
	if len(others) > 0 {
		m.note(FieldUnknown, burst.Warn, "fields beside id and data: "+examples(others, int64(len(others))))
	}
	if found[0] > 1 || found[1] > 1 {
		m.note(FieldRepeated, burst.Warn, fmt.Sprintf("%d fields id and %d fields data, of which the first counts", found[0], found[1]))
	}
	if found[0] == 0 {
		m.note(IDMissing, burst.Invalid, "no field id"+among(others))
	}
	if _, err := strconv.ParseUint(m.SessionID, 10, 64); found[0] > 0 && err != nil {
		m.note(IDNotNumber, burst.Invalid, fmt.Sprintf("the field id is %q, not a decimal number", shortened(m.SessionID)))
	}
	if found[1] == 0 {
		m.note(DataMissing, burst.Invalid, "no field data"+among(others))
		return
	}
	j.payload(m, []byte(data), hint)
}

// Fetched is an entry of which only the length was read, with its fields; there is
// false if it has gone meanwhile. What is longer than any burst may be is not read:
// it has no fields then either.
func (i *Inspector) Fetched(ctx context.Context, stream string, e buffer.Entry) (_ buffer.Entry, there bool, err error) {
	if e.Fields != nil || e.Bytes > i.judge.longest() {
		return e, true, nil
	}
	found, err := i.store.Peeks(ctx, []buffer.PeekRequest{{Stream: stream, From: e.ID, Before: after(e.ID), MaxBytes: e.Bytes}})
	if err == nil {
		err = found[0].Err
	}
	if err != nil || found[0].Fields == nil {
		return e, false, err
	}
	e.Fields = found[0].Fields
	return e, true, nil
}

// Judge judges a message that was read elsewhere, as one of those that were
// sampled.
func (i *Inspector) Judge(stream string, e buffer.Entry) Message {
	m := Message{Stream: stream, ID: e.ID}
	if e.Fields == nil {
		i.judge.unread(&m, e.Bytes)
		return m
	}
	i.judge.fields(&m, e.Fields, i.encodings.get(stream))
	i.encodings.put(stream, m.Encoding)
	return m
}

// among names the fields that may be meant instead of a missing one.
func among(others []string) string {
	if len(others) == 0 {
		return ""
	}
	return ", but " + examples(others, int64(len(others)))
}

// shortened is the beginning of a text that may have any length.
func shortened(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	return text[:most] + "…"
}

// payload judges what the `data` field of a message holds, or a file.
func (j *judge) payload(m *Message, data []byte, hint burst.Encoding) {
	var result burst.Result
	if j.decode {
		if result, m.Content = j.checker.Decode(data, hint); result.Verdict == burst.Invalid {
			m.Content = j.checker.DecodePart(data)
		}
	} else {
		result = j.checker.Check(data, hint)
	}
	if result.Verdict != burst.OK {
		m.explain(result, j.checker.Explain(data))
	}
	if j.keep {
		m.Payload = data
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
	m.note(Reason(burst.TooLarge.String()), burst.Invalid,
		fmt.Sprintf("%d bytes: no burst that INSPECT_MAX_BURST allows is so long when compressed", bytes))
	m.CompressedBytes = bytes
}

// note gives the message a reason, with what is to be said of it.
func (m *Message) note(r Reason, verdict burst.Verdict, text string) {
	m.Reasons = append(m.Reasons, r)
	m.Verdict = max(m.Verdict, verdict)
	m.add(&burst.Detail{Text: text, Short: text, Findings: []burst.Finding{{Reason: string(r), Text: text}}})
}

// explain gives the message the reasons that its payload has, and the detail.
func (m *Message) explain(result burst.Result, d *burst.Detail) {
	for r := range result.Reasons.All() {
		m.Reasons = append(m.Reasons, Reason(r.String()))
		m.Verdict = max(m.Verdict, r.Verdict())
	}
	if d != nil {
		m.add(d)
	}
}

// add joins a detail to those that the message has.
func (m *Message) add(d *burst.Detail) {
	if m.Detail != nil {
		d.Text, d.Short = m.Detail.Text+"; "+d.Text, m.Detail.Short+"; "+d.Short
		d.Findings = append(m.Detail.Findings, d.Findings...)
	}
	m.Detail = d
}

// encodings remembers the encoding of the messages of each stream. It keeps a
// hash of the name; a stream that shares one with another is only tried with
// the wrong encoding first.
type encodings struct {
	seed maphash.Seed
	seen map[uint64]burst.Encoding
}

// maxEncodings bounds what is remembered to a few megabytes.
const maxEncodings = 1 << 17

func newEncodings() *encodings {
	return &encodings{seed: maphash.MakeSeed(), seen: make(map[uint64]burst.Encoding)}
}

func (p *encodings) get(stream string) burst.Encoding {
	return p.seen[maphash.String(p.seed, stream)]
}

func (p *encodings) put(stream string, enc burst.Encoding) {
	if enc == burst.Auto {
		return
	}
	if len(p.seen) >= maxEncodings {
		clear(p.seen)
	}
	p.seen[maphash.String(p.seed, stream)] = enc
}
