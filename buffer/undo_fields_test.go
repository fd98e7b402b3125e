package buffer

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// endingFields are what a producer may let expire by itself, one with an odd name.
var endingFields = []string{"lastUpdated", "streamName", "streamSessionId", "streamPosition", "1:2 \x00\n\xff", ""}

// endIn has fields of a Hash expire by themselves, and skips the test where the
// server knows no such thing.
func endIn(t *testing.T, rdb redis.UniversalClient, key string, d time.Duration, fields ...string) {
	t.Helper()
	args := []any{"HPEXPIRE", key, d.Milliseconds(), "FIELDS", len(fields)}
	for _, field := range fields {
		args = append(args, field)
	}
	if err := rdb.Do(t.Context(), args...).Err(); err != nil {
		if strings.Contains(err.Error(), "unknown command") {
			t.Skip("no field expires by itself here")
		}
		t.Fatal(err)
	}
}

// Fields that expire by themselves wait in a copy, and have the time left that they had.
func TestFieldsOfACopyDoNotExpireByThemselves(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for name, ending := range map[string][]string{"some": endingFields[1:], "all": endingFields} {
			t.Run(name, func(t *testing.T) {
				s := start(t)
				ctx := t.Context()
				writeSession(ctx, s.Client, registry.Keys, "a", "s", five)
				for _, field := range endingFields[4:] {
					s.Client.HSet(ctx, "sessions:a", field, "odd")
				}
				endIn(t, s.Client, "sessions:a", time.Hour, ending...)
				before := snapshot(t, s.Client, []string{"a"})
				b := openOn(t, s.URL())
				expireAll(t, b)
				copied := s.Client.Keys(ctx, "streamkeeper:undo:*").Val()
				if len(copied) != 1 {
					t.Fatalf("copies are %q", copied)
				}
				for field := range s.Client.HGetAll(ctx, copied[0]).Val() {
					if left, err := s.Client.Do(ctx, "HPTTL", copied[0], "FIELDS", 1, field).Int64Slice(); err != nil || left[0] != -1 {
						t.Errorf("%q of the copy ends in %d, %v", field, left, err)
					}
				}
				undoAll(t, b, registry.IsBack)
				if after := snapshot(t, s.Client, []string{"a"}); !maps.Equal(before, after) {
					t.Errorf("before\n%q\nafter\n%q", before, after)
				}
			})
		}
	})
}

// Where the Redis user may not do what that takes, there is no copy that would not
// last, and none that comes back for ever.
func TestWithoutTheRightsNoCopyLosesFields(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, right := range []string{"-hpexpiretime", "-hpersist", "-hpexpireat"} {
			t.Run(right, func(t *testing.T) {
				s := start(t)
				ctx := t.Context()
				writeSession(ctx, s.Client, registry.Keys, "a", "s", five)
				writeSession(ctx, s.Client, registry.Keys, "b", "s", five)
				endIn(t, s.Client, "sessions:a", time.Hour, "streamName")
				before := snapshot(t, s.Client, []string{"a", "b"})
				if err := s.Client.Do(ctx, "ACL", "SETUSER", "keeper", "on", ">p", "~*", "+@all", right).Err(); err != nil {
					t.Fatal(err)
				}
				keeper := openOn(t, strings.Replace(s.URL(), "redis://", "redis://keeper:p@", 1))
				sessions := readAll(t, keeper)
				ended, err := keeper.Expire(ctx, sessions, copying)
				if err != nil || len(ended) != 2 || !ended[0].Removed || !ended[1].Removed {
					t.Fatalf("%+v, %v", ended, err)
				}
				a := slices.IndexFunc(sessions, func(s registry.Session) bool { return s.Identity == "a" })
				if ended[a].Copied != (right == "-hpexpireat") {
					t.Errorf("%+v", ended[a])
				}
				if right != "-hpexpireat" {
					return
				}
				copies := allCopies(t, keeper)
				_, failed, err := keeper.Undo(ctx, copies, undoing)
				for i := range copies {
					if err != nil || (failed[i] != nil) != (copies[i].Identity == "a") {
						t.Errorf("%+v: %v, %v", copies[i], failed[i], err)
					}
				}
				undoAll(t, openOn(t, s.URL()), registry.IsBack)
				if after := snapshot(t, s.Client, []string{"a", "b"}); !maps.Equal(before, after) {
					t.Errorf("before\n%q\nafter\n%q", before, after)
				}
			})
		}
	})
}

// The shared Hash goes with its last session; it comes back with the time that it had
// left, and one that is there keeps its own.
func TestTheSharedHashComesBackWithItsTimeToLive(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, layout := range []registry.Layout{registry.Fields, registry.Object} {
			t.Run(string(layout), func(t *testing.T) {
				s := start(t)
				b := openOn(t, s.URL())
				names := []string{"a", "b"}
				for _, own := range []time.Duration{0, 3 * time.Hour} {
					for _, name := range names {
						writeSession(t.Context(), s.Client, layout, name, "s", five)
					}
					s.Client.PExpire(t.Context(), "sessions", 2*time.Hour)
					before := snapshot(t, s.Client, names)
					expireAll(t, b)
					if own > 0 {
						s.Client.HSet(t.Context(), "sessions", "other", "{}")
						s.Client.PExpire(t.Context(), "sessions", own)
						before["sessions other"], before["sessions ends in"] = "{}", own.String()
					}
					undoAll(t, b, registry.IsBack)
					if after := snapshot(t, s.Client, names); !maps.Equal(before, after) {
						t.Errorf("before\n%q\nafter\n%q", before, after)
					}
					s.Client.FlushAll(t.Context())
				}
			})
		}
	})
}

// Whatever the Redis user may not do, a copy that does not come back stays as it was.
func TestAnUndoThatFailsOnTheWayIsTakenBack(t *testing.T) {
	t.Parallel()
	for _, right := range []string{"-set", "-hdel", "-pexpire", "-rename", "-persist"} {
		t.Run(right, func(t *testing.T) {
			s := redistest.Start(t)
			ctx := t.Context()
			writeSession(ctx, s.Client, registry.Keys, "a", "s", five)
			s.Client.PExpire(ctx, "sessions:a", 2*time.Hour)
			b := openOn(t, s.URL())
			before := snapshot(t, s.Client, []string{"a"})
			expireAll(t, b)
			copied := s.Client.Keys(ctx, "streamkeeper:undo:*").Val()[0]
			held := s.Client.HGetAll(ctx, copied).Val()
			s.Client.Do(ctx, "ACL", "SETUSER", "keeper", "on", ">p", "~*", "+@all", right)
			keeper := openOn(t, strings.Replace(s.URL(), "redis://", "redis://keeper:p@", 1))
			if _, failed, err := keeper.Undo(ctx, allCopies(t, b), undoing); failed[0] == nil {
				t.Errorf("no error, %v", err)
			}
			if now := s.Client.HGetAll(ctx, copied).Val(); !maps.Equal(held, now) {
				t.Errorf("the copy was %q, and is %q", held, now)
			}
			// Who may not use PEXPIRE cannot give the copy its end back, but has lost nothing.
			if left := s.Client.PTTL(ctx, copied).Val(); right != "-pexpire" && (left <= 0 || left > copying.Keep) {
				t.Errorf("the copy ends in %s", left)
			}
			if notes := s.Client.Keys(ctx, "streamkeeper:undone:*").Val(); len(notes) > 0 {
				t.Errorf("notes of a return are %q", notes)
			}
			undoAll(t, b, registry.IsBack)
			if after := snapshot(t, s.Client, []string{"a"}); !maps.Equal(before, after) {
				t.Errorf("before\n%q\nafter\n%q", before, after)
			}
		})
	}
}
