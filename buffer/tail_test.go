package buffer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestTailsReadWhatComesAfterAnId(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for _, id := range []string{"5-1", "5-2", "7-0", "8-0"} {
		if err := s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: id, Values: []any{"id", id}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.Client.XTrimMaxLen(ctx, "stream:a", 3)
	s.Client.HSet(ctx, "stream:hash", "a", "b")
	b, err := Open(ctx, Options{Connection: redisconn.Connection{URL: s.URL()}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	const each = 5 // bytes of a message
	for _, c := range []struct {
		name string
		tail TailRequest
		want string // the ids, in brackets if they are not sent, and what is said of the end
	}{
		{"all that is left", TailRequest{Stream: "a", MaxCount: 9, MaxBytes: 99}, "5-2 7-0 8-0 end 8-0 of 4"},
		{"after an entry", TailRequest{Stream: "a", After: ID{5, 2}, MaxCount: 9, MaxBytes: 99}, "7-0 8-0 end 8-0 of 4"},
		{"after an id that no entry has", TailRequest{Stream: "a", After: ID{6, 9}, MaxCount: 9, MaxBytes: 99}, "7-0 8-0 end 8-0 of 4"},
		{"nothing new", TailRequest{Stream: "a", After: ID{8, 0}, MaxCount: 9, MaxBytes: 99}, "end 8-0 of 4"},
		{"as many as were asked for", TailRequest{Stream: "a", MaxCount: 2, MaxBytes: 99}, "5-2 7-0 more"},
		{"as much as was asked for", TailRequest{Stream: "a", MaxCount: 9, MaxBytes: 2 * each}, "5-2 7-0 more"},
		{"a byte less", TailRequest{Stream: "a", MaxCount: 9, MaxBytes: 2*each - 1}, "5-2 more"},
		{"the first is longer by itself", TailRequest{Stream: "a", MaxCount: 9, MaxBytes: each - 1}, "(5-2) more"},
		{"only where it ends", TailRequest{Stream: "a"}, "end 8-0 of 4"},
		{"no key", TailRequest{Stream: "none", MaxCount: 9, MaxBytes: 99}, "no key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := told(b.Tails(ctx, []TailRequest{c.tail})[0]); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	got := b.Tails(ctx, []TailRequest{{Stream: "hash", MaxCount: 1}, {Stream: "a"}})
	if redisconn.ClassOf(got[0].Err) != redisconn.ClassWrongType || !strings.Contains(got[0].Err.Error(), `"hash"`) || got[1].Err != nil {
		t.Errorf("a key of another type, and one beside it: %+v", got)
	}
	s.Kill()
	if got := b.Tails(ctx, []TailRequest{{Stream: "a"}}); !redisconn.IsLost(got[0].Err) {
		t.Errorf("after the connection broke: %+v", got)
	}
}

// told says in a line what was read.
func told(t TailResult) string {
	var words []string
	for _, e := range t.Entries {
		word := e.ID.String()
		if e.Fields == nil {
			word = "(" + word + ")"
		}
		words = append(words, word)
	}
	switch {
	case t.Err != nil:
		words = append(words, t.Err.Error())
	case !t.Exists:
		words = append(words, "no key")
	case t.More:
		words = append(words, "more")
	default:
		words = append(words, fmt.Sprintf("end %s of %d", t.LastID, t.Added))
	}
	return strings.Join(words, " ")
}
