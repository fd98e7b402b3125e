package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// keeperFixture is a fixture on a cluster for a user with narrow rights.
func keeperFixture(t *testing.T) (*redistest.Cluster, *fixture) {
	t.Helper()
	c := redistest.StartCluster(t, 3, false)
	r := newFixture(c.Client, strings.Replace(c.NamedURL(), "redis://", "redis://keeper:secret@", 1))
	aclSettings(r.env, "auto")
	return c, r
}

// underEverywhere makes the user on all masters, and fills them.
func underEverywhere(t *testing.T, c *redistest.Cluster, r *fixture, words []string) {
	t.Helper()
	for _, s := range c.Masters {
		keeperUnder(t, s, words)
	}
	r.fill(t, allLayouts()...)
	r.everyNeed(t)
}

// deniedAnywhere is what any master denied.
func deniedAnywhere(t *testing.T, c *redistest.Cluster) (all []string) {
	t.Helper()
	for _, s := range c.Masters {
		all = append(all, denied(t, s)...)
	}
	return all
}

func without(words []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == word })
}

// clusterWords are words whose keys or commands lie, or are sent, otherwise on
// a cluster than on one server, whose test tries all of them.
var clusterWords = []string{
	"+cluster|slots", "~stream:*", "~sessions:*", "~streamkeeper:retired", "+evalsha", "+xtrim", "+scan", "+unlink", "+zadd",
}

// TestOnAClusterEverythingPassesUnderTheRuleAndNoWordCanBeSpared tries all
// words with WORDS=all.
func TestOnAClusterEverythingPassesUnderTheRuleAndNoWordCanBeSpared(t *testing.T) {
	t.Parallel()
	c, r := keeperFixture(t)
	words, _ := aclRule(t, r.env)
	underEverywhere(t, c, r, words)
	r.env.MustRun(t, "plan")
	if code, _, errs := r.env.Run(t, "inspect"); code != cli.ExitInvalid {
		t.Errorf("inspect: exit %d\n%s", code, errs)
	}
	r.env.MustRun(t, "once")
	if got := deniedAnywhere(t, c); len(got) > 0 {
		t.Errorf("denied: %q", got)
	}
	// What the daemon alone needs is the same in all shapes; ASK has a test of
	// its own.
	elsewhere := slices.Concat(daemonOnly, forNaming, []string{"+asking"})
	for _, word := range words {
		if slices.Contains(elsewhere, word) || os.Getenv("WORDS") != "all" && !slices.Contains(clusterWords, word) {
			continue
		}
		t.Run("without "+word, func(t *testing.T) {
			underEverywhere(t, c, r, without(words, word))
			_, _, errs := r.env.Run(t, "once")
			if got := deniedAnywhere(t, c); len(got) == 0 {
				t.Errorf("nothing is denied")
			}
			if !isNamed(word, errs) {
				t.Errorf("it is not named:\n%s", errs)
			}
		})
	}
}

// isNamed reports whether what streamkeeper says names a right. One is only
// missed by a feature, which has a default.
func isNamed(word, said string) bool {
	if word == "+config|get" {
		return true
	}
	if pattern, ok := strings.CutPrefix(word, "~"); ok {
		return strings.Contains(said, "lacks the right to the key in") && strings.Contains(said, strings.Trim(pattern, "*"))
	}
	return strings.Contains(said, word)
}

func TestOnAClusterWhoseSlotsMoveTheRightToAskIsNeededAndNamed(t *testing.T) {
	t.Parallel()
	c, r := keeperFixture(t)
	words, _ := aclRule(t, r.env)
	ctx := t.Context()
	slot := int(c.Client.ClusterKeySlot(ctx, "stream:busy").Val())
	from, err := c.Owner(ctx, slot, 0)
	mustDo(t, err)
	mustDo(t, c.Shift(ctx, slot, from, (from+1)%3))
	underEverywhere(t, c, r, words)
	r.env.MustRun(t, "once", "trim")
	if got := deniedAnywhere(t, c); len(got) > 0 {
		t.Errorf("denied: %q", got)
	}
	underEverywhere(t, c, r, without(words, "+asking"))
	code, _, errs := r.env.Run(t, "once", "trim")
	if code != cli.ExitFailure || !strings.Contains(errs, "lacks the right +asking") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	r.keeps(t, allLayouts()...)
}

func TestWhatTheSentinelsOwnUserNeedsIsRemarkedAndNamed(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t, "")
	rights := []string{"+sentinel|get-master-addr-by-name", "+sentinel|sentinels"}
	under := func(words []string) {
		for _, sentinel := range s.Servers {
			args := []any{"ACL", "SETUSER", "watcher", "reset", "on", ">other"}
			for _, word := range words {
				args = append(args, word)
			}
			client := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr, Protocol: 2})
			mustDo(t, client.Process(t.Context(), redis.NewCmd(t.Context(), args...)))
			mustDo(t, client.Close())
		}
	}
	one := fmt.Sprintf("redis://%s?master_name=%s", s.Servers[0].Addr, redistest.MasterName)
	r := newFixture(s.Data[0].Client, one)
	r.env["REDIS_SENTINEL_USERNAME"] = "watcher"
	r.env["REDIS_SENTINEL_PASSWORD"] = "other"
	_, remarks := aclRule(t, r.env)
	for _, word := range rights {
		if !strings.Contains(remarks, word) {
			t.Errorf("the remarks lack %s:\n%s", word, remarks)
		}
	}
	under(rights)
	r.fill(t, "object")
	r.env.MustRun(t, "once")
	r.tidy(t, "object")
	under(rights[1:])
	if code, _, errs := r.env.Run(t, "once"); code != cli.ExitFailure || !strings.Contains(errs, "lacks the right "+rights[0]) {
		t.Errorf("exit %d\n%s", code, errs)
	}
}
