package buffer

import (
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestPeeksReadOneMessageOfARange(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	for _, id := range []string{"5-1", "5-2", "7-0", "9-18446744073709551615"} {
		if err := s.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:a", ID: id, Values: []any{"id", id, "id", "again"}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.Client.HSet(ctx, "stream:hash", "a", "b")
	b, err := Open(ctx, Options{Connection: redisconn.Connection{URL: s.URL()}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()

	const plenty = 1 << 20
	cases := []struct {
		name  string
		peek  PeekRequest
		id    string // of what is found, or empty
		bytes int64
		sent  bool
	}{
		{"the first of all", PeekRequest{Stream: "a", MaxBytes: plenty}, "5-1", 12, true},
		{"the last of all", PeekRequest{Stream: "a", Last: true, MaxBytes: plenty}, "9-18446744073709551615", 31, true},
		{"the first from an id on", PeekRequest{Stream: "a", From: ID{5, 2}, MaxBytes: plenty}, "5-2", 12, true},
		{"the last below an id", PeekRequest{Stream: "a", Before: ID{7, 0}, Last: true, MaxBytes: plenty}, "5-2", 12, true},
		{"nothing in a range without an id", PeekRequest{Stream: "a", From: ID{5, 3}, Before: ID{7, 0}, MaxBytes: plenty}, "", 0, false},
		{"nothing below the first", PeekRequest{Stream: "a", Before: ID{5, 1}, Last: true, MaxBytes: plenty}, "", 0, false},
		{"a message of just the length", PeekRequest{Stream: "a", MaxBytes: 12}, "5-1", 12, true},
		{"the length of one that is longer", PeekRequest{Stream: "a", MaxBytes: 11}, "5-1", 12, false},
		{"nothing where there is no key", PeekRequest{Stream: "none", MaxBytes: plenty}, "", 0, false},
	}
	var peeks []PeekRequest
	for _, c := range cases {
		peeks = append(peeks, c.peek)
	}
	found, err := b.Peeks(ctx, append(peeks, PeekRequest{Stream: "hash"}))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := PeekResult{Found: c.id != "", Bytes: c.bytes}
			if want.Found {
				if want.ID, err = ParseID(c.id); err != nil {
					t.Fatal(err)
				}
			}
			if c.sent {
				want.Fields = []string{"id", c.id, "id", "again"}
			}
			got := found[i]
			if got.Found != want.Found || got.ID != want.ID || got.Bytes != want.Bytes ||
				!slices.Equal(got.Fields, want.Fields) || got.Err != nil {
				t.Errorf("%+v\nwant %+v", got, want)
			}
		})
	}
	if other := found[len(cases)]; redisconn.ClassOf(other.Err) != redisconn.ClassWrongType {
		t.Errorf("a key of another type: %+v", other)
	}

	s.Kill()
	if _, err := b.Peeks(ctx, peeks); !redisconn.IsLost(err) || !strings.Contains(err.Error(), `stream "a"`) {
		t.Errorf("after the connection broke: %v", err)
	}
}
