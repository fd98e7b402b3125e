package burst

import (
	"fmt"
	"strings"
)

// Detail says where and what is wrong with a message that is not [OK].
type Detail struct {
	// Text is a sentence for people.
	Text string `json:"text"`
	// Short is the same in a few words, for a column of a table.
	Short string `json:"-"`
	// LooksLike names what the bytes are instead, empty if that is not known.
	LooksLike string `json:"looks_like,omitempty"`
	// Furthest is the encoding that came furthest of those tried.
	Furthest string    `json:"furthest,omitempty"`
	Tried    []Attempt `json:"tried,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
}

// Attempt is how far the reading of a message in one encoding came.
type Attempt struct {
	Encoding string `json:"encoding"`
	// Byte is the index in the message at which it failed; the message's length
	// if it could be unpacked, and what it holds is wrong.
	Byte int    `json:"byte"`
	Why  string `json:"why"`
	// Unpacked is the length of what it holds, 0 if it cannot be unpacked.
	Unpacked int `json:"unpacked_bytes,omitempty"`
}

// Finding is one reason, and where it was first found.
type Finding struct {
	Reason string `json:"reason"`
	// Path of the field, such as data[3].timestamped_data.timestamp_deltas.
	Path string `json:"path,omitempty"`
	// Offset of the field in the uncompressed burst.
	Offset *int   `json:"offset,omitempty"`
	Text   string `json:"text"`
}

// Explain says what keeps a message from being [OK], nil if nothing does. It is
// slower than [Checker.Check], and is meant for the few messages that are not.
func (c *Checker) Explain(data []byte) *Detail {
	defer c.unpacker.trim()
	if len(data) == 0 {
		return &Detail{Text: "there is not a single byte", Short: "no bytes", Findings: []Finding{{Reason: Empty.String(), Text: "there is not a single byte"}}}
	}
	var d Detail
	var best reading
	var bestFault fault
	furthest := -1
	order, n := c.order(data, Auto)
	for _, enc := range order[:n] {
		r := c.read(enc, data)
		a := Attempt{Encoding: enc.String(), Byte: c.fault.at, Why: c.fault.what}
		if r.rank == readInvalid || r.rank == readWarn || r.rank == readOK {
			b, _ := c.unpacker.unpack(enc, data, c.maxBurst())
			a = Attempt{Encoding: enc.String(), Byte: len(data), Unpacked: len(b)}
			findings := findingsOf(&c.walk, b)
			a.Why = textOf(findings)
			if r.rank > best.rank {
				d.Findings = findings
			}
		}
		d.Tried = append(d.Tried, a)
		if r.rank > best.rank || r.rank == best.rank && r.rank < readInvalid && a.Byte > furthest {
			best, bestFault, furthest = r, c.fault, a.Byte
			d.Furthest = enc.String()
		}
	}
	if best.Verdict == OK && best.rank == readOK {
		return nil
	}
	c.summarize(&d, best, bestFault, len(data))
	if best.Verdict == Invalid {
		c.compareWithOthers(&d, data)
	}
	return &d
}

// summarize puts the outcome of the best reading into words.
func (c *Checker) summarize(d *Detail, best reading, f fault, size int) {
	if len(d.Findings) > 0 {
		d.Text = textOf(d.Findings)
		d.Short = d.Findings[len(d.Findings)-1].short()
		for _, x := range d.Findings {
			if best.Verdict == Invalid && x.invalid() {
				d.Short = x.short()
			}
		}
		if best.Verdict == Invalid {
			d.Text = fmt.Sprintf("unpacks as %s, but %s", d.Furthest, d.Text)
		}
		return
	}
	d.Text = fmt.Sprintf("%s came furthest: %s at byte %d of %d", d.Furthest, f.what, f.at, size)
	d.Findings = []Finding{{Reason: best.Reasons.String(), Text: d.Text}}
	switch {
	case best.Reasons.Has(TooLarge):
		d.Short = fmt.Sprintf("over %d bytes", c.maxBurst())
	case best.Reasons != 1<<Unreadable:
		d.Short = fmt.Sprintf("at byte %d", f.at)
	case f.at == size && (f.what == cutOff || f.what == endsEarly):
		d.Short = fmt.Sprintf("cut off at byte %d", f.at)
	case f.at == 0:
		d.Short = "nothing known"
	default:
		d.Short = fmt.Sprintf("damaged at byte %d", f.at)
	}
}

func textOf(findings []Finding) string {
	texts := make([]string, 0, len(findings))
	for _, f := range findings {
		if f.Path == "" {
			texts = append(texts, f.Text)
			continue
		}
		texts = append(texts, fmt.Sprintf("%s at byte %d: %s", f.Path, *f.Offset, f.Text))
	}
	return strings.Join(texts, "; ")
}

func (f Finding) invalid() bool {
	for _, r := range AllReasons() {
		if r.String() == f.Reason {
			return r.Verdict() == Invalid
		}
	}
	return false
}

// short is the finding in a column that has the reason already.
func (f Finding) short() string {
	switch {
	case f.Path == "":
		return ""
	case strings.Contains(f.Text, "cut off, or a wrong length"):
		return f.Path + " cut off"
	}
	return f.Path
}
