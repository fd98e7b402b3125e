package redisconn

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// Several prefixes take one scan, and what else begins like all of them is not read.
func TestTheKeyspaceIsScannedOnceForAllPrefixes(t *testing.T) {
	t.Parallel()
	single, cluster := redistest.Start(t), redistest.StartCluster(t, 3, false)
	for name, at := range map[string]struct {
		url string
		rdb redis.UniversalClient
	}{"one server": {single.URL(), single.Client}, "cluster": {cluster.URL(), cluster.Client}} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for i := range 50 {
				for _, key := range []string{"s:", "s/", "s", "sx:", "t:"} {
					key += fmt.Sprint(i)
					if err := at.rdb.Set(t.Context(), key, 1, 0).Err(); err != nil {
						t.Fatal(err)
					}
					if key[1] == ':' && key[0] == 's' || key[1] == '/' {
						want = append(want, key)
					}
				}
			}
			if err := single.ResetCalls(t.Context()); err != nil {
				t.Fatal(err)
			}
			read := func(_ context.Context, keys []string) ([]string, error) { return keys, nil }
			var got []string
			err := WalkKeyspace(t.Context(), open(t, Connection{URL: at.url}), []string{"s:", "s/"}, "", read, func(page []string) error {
				got = append(got, page...)
				return nil
			})
			slices.Sort(want)
			if slices.Sort(got); err != nil || !slices.Equal(slices.Compact(got), want) {
				t.Errorf("visited %q, want %q, %v", got, want, err)
			}
			if calls, err := single.CommandCalls(t.Context()); name == "one server" && (err != nil || calls["scan"] != 1) {
				t.Errorf("%v, %v", calls, err)
			}
		})
	}
}
