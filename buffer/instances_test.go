package buffer

import (
	"reflect"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestInstancesNoteThemselvesForAWhile(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		ctx, server := t.Context(), start(t)
		open := func(o Options) *Buffer {
			o.Connection = redisconn.Connection{URL: server.URL()}
			b, err := Open(ctx, o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close() })
			return b
		}
		one, same := open(Options{}), open(Options{})
		pattern, err := ParsePattern("n-*")
		if err != nil {
			t.Fatal(err)
		}
		other := open(Options{Include: Patterns{pattern}})
		success := time.UnixMilli(1_700_000_000_000).UTC()
		jobs := []JobOfInstance{{Name: "trim", LastSuccess: success}, {Name: "cleanup", Overdue: true}}
		for _, note := range []struct {
			b *Buffer
			i Instance
		}{{one, Instance{Name: "a", Leads: true, Jobs: jobs}}, {same, Instance{Name: "b"}}, {other, Instance{Name: "c"}}} {
			if err := note.b.NoteInstance(ctx, note.i); err != nil {
				t.Fatal(err)
			}
		}
		found, err := one.Instances(ctx)
		if err != nil || len(found) != 3 {
			t.Fatalf("%+v, %v", found, err)
		}
		if !found[0].Leads || !reflect.DeepEqual(found[0].Jobs, jobs) {
			t.Errorf("%+v", found[0])
		}
		if found[0].Work != found[1].Work || found[0].Work == found[2].Work {
			t.Errorf("works %s, %s and %s", found[0].Work, found[1].Work, found[2].Work)
		}
		if left := server.Client.PTTL(ctx, "streamkeeper:instances").Val(); left <= 0 || left > InstanceTTL {
			t.Errorf("the notes end in %s", left)
		}
		// A note that has ended is none, and the next one takes it away.
		server.Client.HSet(ctx, "streamkeeper:instances", "b", "1000 {}", "odd", "note")
		if found, err = one.Instances(ctx); err != nil || len(found) != 2 {
			t.Errorf("%+v, %v", found, err)
		}
		if err := one.NoteInstance(ctx, Instance{Name: "a"}); err != nil {
			t.Fatal(err)
		}
		if n := server.Client.HLen(ctx, "streamkeeper:instances").Val(); n != 2 {
			t.Errorf("%d notes", n)
		}
		if err := other.ForgetInstance(ctx, "c"); err != nil {
			t.Error(err)
		}
		if found, err = one.Instances(ctx); err != nil || len(found) != 1 || found[0].Name != "a" {
			t.Errorf("one has gone: %+v, %v", found, err)
		}
		// What is another's stays as it is.
		server.Client.Set(ctx, "streamkeeper:instances", "x", 0)
		if err := one.NoteInstance(ctx, Instance{Name: "a"}); err != nil {
			t.Error(err)
		}
		if err := one.ForgetInstance(ctx, "a"); err != nil {
			t.Error(err)
		}
		if found, err = one.Instances(ctx); err != nil || len(found) > 0 {
			t.Errorf("%+v, %v", found, err)
		}
	})
}

func FuzzNotesOfInstancesAreReadOrLeft(f *testing.F) {
	f.Add(`1700000000000 {"work":"1","leads":true,"jobs":[{"name":"trim"}]}`)
	f.Add("9 {}")
	f.Fuzz(func(t *testing.T, note string) {
		i, ok := parseInstance("a", note, time.UnixMilli(10))
		if ok != (i.Name == "a") {
			t.Errorf("%q: %+v, %v", note, i, ok)
		}
	})
}
