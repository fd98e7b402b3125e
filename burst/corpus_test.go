package burst

import (
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/corpus"
)

// message is a line of testdata/bursts.jsonl.gz: messages made with other
// implementations of LZ4 and protobuf, and what is to be said of them.
type message struct {
	Name     string
	Expect   string
	Encoding string
	Size     *int
	Kinds    map[string]int
	Why      string
	Data     []byte
}

func TestEveryMessageOfTheCorpusIsJudgedAsItSays(t *testing.T) {
	messages := corpus.Read[message](t, corpus.Bursts)
	if len(messages) < 80 {
		t.Fatalf("the corpus has only %d messages", len(messages))
	}
	var shared Checker // what one message leaves behind must not matter to the next
	for _, m := range messages {
		t.Run(m.Name, func(t *testing.T) {
			checkMessage(t, m, shared.Check(m.Data, Auto))
			for _, hint := range Encodings() {
				checkMessage(t, m, shared.Check(m.Data, hint))
			}
		})
	}
}

func checkMessage(t *testing.T, m message, got Result) {
	t.Helper()
	t.Logf("%s: %s", m.Why, got.Reasons)
	if got.Verdict.String() != m.Expect {
		t.Errorf("verdict %s (%s), want %s (%s)", got.Verdict, got.Reasons, m.Expect, m.Why)
	}
	if got.Verdict == OK != (got.Reasons == 0) {
		t.Errorf("verdict %s with reasons %q", got.Verdict, got.Reasons)
	}
	if got.Encoding.String() != m.Encoding {
		t.Errorf("encoding %q, want %q", got.Encoding, m.Encoding)
	}
	size := 0
	if m.Size != nil {
		size = *m.Size
	}
	if got.Size != size || got.Compressed != len(m.Data) {
		t.Errorf("%d bytes in %d, want %d in %d", got.Size, got.Compressed, size, len(m.Data))
	}
	kinds := map[string]int{}
	for kind, n := range got.KindCounts() {
		kinds[kind.String()] = n
	}
	if len(kinds) != len(m.Kinds) {
		t.Errorf("kinds %v, want %v", kinds, m.Kinds)
	}
	for kind, n := range m.Kinds {
		if kinds[kind] != n {
			t.Errorf("kinds %v, want %v", kinds, m.Kinds)
		}
	}
}
