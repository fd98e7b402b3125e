package burst

import (
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/corpus"
)

// judged is a message of testdata/judged.jsonl.gz: made by other implementations,
// with what each of them says of it. internal/corpus/make.py makes it.
type judged struct {
	Name, Encoding string
	Judges         map[string]bool
	Data           []byte
}

// reads reports whether all judges of a kind that were asked read the message.
func (m judged) reads(kind string) (reads, asked bool) {
	reads = true
	for judge, ok := range m.Judges {
		if strings.HasPrefix(judge, kind) {
			asked, reads = true, reads && ok
		}
	}
	return reads, asked
}

// TestVerdictsAreThoseOfOtherImplementations holds every verdict against what
// liblz4, lz4-java, lz4js and protobuf in C++, Python and JavaScript say. liblz4
// decides about LZ4, as most clients use it; of protobuf's each counts.
func TestVerdictsAreThoseOfOtherImplementations(t *testing.T) {
	messages := corpus.Read[judged](t, corpus.Judged)
	if len(messages) < 800 {
		t.Fatalf("there are only %d messages", len(messages))
	}
	counts := map[string]int{}
	for _, m := range messages {
		enc, err := ParseEncoding(m.Encoding)
		if err != nil {
			t.Fatal(err)
		}
		c := Checker{Pinned: enc}
		got := c.Check(m.Data, Auto)
		counts[got.Reasons.String()]++
		unpacks := c.fault.err == nil
		liblz4, asked := m.reads("liblz4")
		native, _ := m.reads("lz4-java-native")
		if asked && m.Encoding != "frame" && liblz4 != native {
			t.Errorf("%s: liblz4 says %t, lz4-java's native decoder %t", m.Name, liblz4, native)
		}
		// liblz4 takes an offset of 0, which the format forbids, and writes
		// whatever it finds.
		if asked && unpacks != liblz4 && !(liblz4 && strings.Contains(c.fault.what, "offset 0")) {
			t.Errorf("%s as %s: %s (%s: %s), liblz4 reads it: %t", m.Name, enc, got.Verdict, got.Reasons, c.fault.what, liblz4)
		}
		if m.Name == "100 groups in the burst" {
			delete(m.Judges, "protobuf-python") // it allows one less than C++ there
		}
		parses, asked := m.reads("protobuf")
		if !asked || !unpacks {
			continue
		}
		switch {
		case got.Verdict != Invalid && !parses && !got.Reasons.Has(OverlongVarint):
			t.Errorf("%s: %s (%s), but not every parser reads it: %v", m.Name, got.Verdict, got.Reasons, m.Judges)
		case got.Reasons.Has(OverlongVarint) && (parses || got.Verdict != Warn):
			t.Errorf("%s: %s (%s), but %v", m.Name, got.Verdict, got.Reasons, m.Judges)
		case parses && isParsers(got.Reasons):
			t.Errorf("%s: %s (%s), but every parser reads it", m.Name, got.Verdict, got.Reasons)
		}
	}
	for _, want := range []string{"", "block_end_invalid", "block_end_risky", "unreadable", "unknown_field,overlong_varint", "nested_too_deep", "trailing_bytes"} {
		if counts[want] == 0 {
			t.Errorf("no message is %q: %v", want, counts)
		}
	}
}

// isParsers reports whether a set has a reason that only parsers of protobuf give.
func isParsers(s Reasons) bool {
	return slices.ContainsFunc([]Reason{NotProtobuf, NestedTooDeep, NotUTF8}, s.Has)
}
