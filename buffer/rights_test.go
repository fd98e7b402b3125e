package buffer

import (
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// asksItself are the words that asking takes.
var asksItself = []string{"+multi", "+discard"}

// fullUses are all that there is.
func fullUses() Uses {
	return Uses{
		Job: true, Trim: true, Cleanup: true, Inspect: true, Serve: true, Lease: true, Groups: true, Pressure: true, Scan: true, Abandon: true, History: true, Undo: true,
		Names: DefaultNames, Database: true, Cluster: true,
	}
}

func TestEachWordOfTheRuleHasAProbe(t *testing.T) {
	words, _ := fullUses().Rule()
	for _, word := range words {
		if _, ok := fullUses().probeOf(word); !ok && strings.HasPrefix(word, "+") && !slices.Contains(asksItself, word) {
			t.Errorf("nothing finds out whether %s is missing", word)
		}
	}
}

func TestEachMissingRightIsFoundAndNothingRuns(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		u := fullUses()
		u.Cluster = false
		words, _ := u.Rule()
		under := func(words []string) []string {
			args := []any{"ACL", "SETUSER", "keeper", "reset", "on", ">p"}
			for _, word := range words {
				args = append(args, word)
			}
			if err := s.Client.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
			b, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: "redis://keeper:p@" + s.Addr}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			missing, err := b.MissingRights(t.Context(), u)
			if err != nil {
				t.Fatal(err)
			}
			return missing
		}
		if missing := under(words); len(missing) > 0 {
			t.Errorf("under the whole rule %q are missing", missing)
		}
		for i, word := range words {
			if slices.Contains(asksItself, word) {
				continue
			}
			without := slices.Delete(slices.Clone(words), i, i+1)
			want := []string{word}
			if missing := under(without); !slices.Equal(missing, want) {
				t.Errorf("without %s, %q are missing", word, missing)
			}
		}
		if n := s.Client.DBSize(t.Context()).Val(); n != 0 {
			t.Errorf("%d keys were written", n)
		}
	})
}

func TestWithoutTransactionsMissingRightsAreNotKnown(t *testing.T) {
	s := redistest.Start(t)
	if err := s.Client.Do(t.Context(), "ACL", "SETUSER", "keeper", "reset", "on", ">p", "~*", "+ping").Err(); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: "redis://keeper:p@" + s.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if missing, err := b.MissingRights(t.Context(), fullUses()); err == nil || !strings.Contains(err.Error(), "+multi and +discard") {
		t.Errorf("%q, %v", missing, err)
	}
}

func TestOnAClusterRightsAreAskedForAtEachNode(t *testing.T) {
	c := redistest.StartCluster(t, 3, false)
	u := fullUses()
	u.Database, u.Cluster = false, true
	words, _ := u.Rule()
	for i, s := range c.Masters {
		args := []any{"ACL", "SETUSER", "keeper", "reset", "on", ">p"}
		for _, word := range words {
			if i != 2 || word != "+time" {
				args = append(args, word)
			}
		}
		if err := s.Client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: strings.Replace(c.URL(), "redis://", "redis://keeper:p@", 1)}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	missing, err := b.MissingRights(t.Context(), u)
	if err != nil || !slices.Equal(missing, []string{"+time"}) {
		t.Errorf("%q, %v", missing, err)
	}
}

func FuzzKeyspace(f *testing.F) {
	f.Add("# Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\ndb12:keys=1,expires=0\r\n")
	f.Add("db:keys=,\ndb-1:keys=-5\ndb0:keys=99999999999999999999")
	f.Fuzz(func(t *testing.T, info string) {
		for db, n := range parseKeyspace(info) {
			if n <= 0 || !strings.Contains(info, "keys=") {
				t.Errorf("database %d has %d keys in %q", db, n, info)
			}
		}
	})
}

// Each probe is on a key that its rule takes in, whatever layout is pinned.
func TestUnderTheRuleOfEachLayoutNoRightIsMissing(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	for _, layout := range registry.Layouts() {
		u := Uses{Job: true, Cleanup: true, Undo: true, Layouts: []registry.Layout{layout}, Names: DefaultNames}
		words, _ := u.Rule()
		args := []any{"ACL", "SETUSER", "keeper", "reset", "on", ">p"}
		for _, word := range words {
			args = append(args, word)
		}
		if err := s.Client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
		b := openOn(t, "redis://keeper:p@"+s.Addr)
		if missing, err := b.MissingRights(t.Context(), u); err != nil || len(missing) > 0 {
			t.Errorf("%s: %q are missing, %v", layout, missing, err)
		}
	}
}
