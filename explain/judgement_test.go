package explain

import (
	"fmt"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

func judgedSession(j *Judgement, identity, stream string, is cleanup.State) {
	j.Session(&registry.Session{Identity: identity, Stream: stream, HasStream: true}, is, "because")
}

func TestAJudgementForgetsWhatExpired(t *testing.T) {
	j := NewJudgement(func(string) bool { return false })
	judgedSession(j, "live", "a", cleanup.Live)
	judgedSession(j, "old", "a", cleanup.Stale)
	j.Session(&registry.Session{Identity: "without a stream"}, cleanup.Live, "")
	j.Stream(cleanup.StreamFacts{Name: "dead"}, cleanup.Retirable, "no session")
	j.Acted(cleanup.Action{Kind: cleanup.Expire, Session: "old", Stream: "a"})
	j.Acted(cleanup.Action{Kind: cleanup.Retire, Stream: "dead"})
	j.Acted(cleanup.Action{Kind: cleanup.Restore, Stream: "back", Reason: "a live session names it"})
	j.Acted(cleanup.Action{Kind: cleanup.Expire, Session: "x", Stream: "nobody kept"})
	for name, want := range map[string]string{"a": "1 1 false ", "dead": "0 0 false ", "back": "0 0 false it is listed again: a live session names it", "new": "0 0 false "} {
		of, known := j.of(name)
		if got := fmt.Sprint(len(of.sessions), of.named, of.fate != nil, " ", of.restored); got != want && known {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if !known {
			t.Errorf("%s is not known", name)
		}
	}
}

func TestAJudgementIsBoundedAndNeverTellsHalf(t *testing.T) {
	j := NewJudgement(func(stream string) bool { return stream == "always" })
	judgedSession(j, "first", "half", cleanup.Live)
	for i := range maxJudged {
		judgedSession(j, fmt.Sprint(i), fmt.Sprint("s", i%100), cleanup.Live)
	}
	judgedSession(j, "second", "half", cleanup.Live)
	judgedSession(j, "x", "always", cleanup.Live)
	j.Stream(cleanup.StreamFacts{Name: "late"}, cleanup.Keep, "")
	for name, want := range map[string]bool{"half": false, "late": false, "unheard of": false, "s5": true, "always": true} {
		if _, known := j.of(name); known != want {
			t.Errorf("%s: known %t", name, known)
		}
	}
	if of, _ := j.of("s5"); len(of.sessions) != maxSessions || of.named != 100 {
		t.Errorf("%d of %d sessions", len(of.sessions), of.named)
	}
}
