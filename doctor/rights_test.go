package doctor

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// under has the buffer examined by a user with a rule.
func (f *fixture) under(words ...string) {
	f.t.Helper()
	args := []any{"ACL", "SETUSER", "narrow", "reset", "on", ">secret"}
	for _, word := range words {
		args = append(args, word)
	}
	f.do(args...)
	f.buffer.Connection.Username, f.buffer.Connection.Password = "narrow", "secret"
	f.do("SCRIPT", "FLUSH")
	f.do("ACL", "LOG", "RESET")
}

// denials is what was denied.
func (f *fixture) denials() (all []string) {
	f.t.Helper()
	for _, e := range must(f.rdb.ACLLog(f.ctx(), 100).Result()) {
		if e.Object != "client|no-touch" {
			all = append(all, e.Reason+" "+e.Object)
		}
	}
	return all
}

// respecting makes the doctor ask for everything that it can.
func (f *fixture) respecting() *fixture {
	f.doctor.Uses.Groups, f.doctor.RespectGroups, f.doctor.GroupIdleAfter = true, true, f.doctor.Limits.ExpireAfter
	f.doctor.Uses.Lease, f.doctor.Leases = true, true
	return f
}

// ruined is a buffer in which much is wrong.
func ruined(t *testing.T) *fixture {
	f := newFixture(t, registry.Keys, "--maxmemory", "0", "--maxmemory-policy", "volatile-ttl").respecting().proper()
	breakings := breakings()
	names := slices.Sorted(maps.Keys(breakings))
	slices.SortStableFunc(names, func(a, b string) int { // ids only rise
		return strings.Count(breakings[b].check, "stream-shared") - strings.Count(breakings[a].check, "stream-shared")
	})
	for _, name := range names {
		switch b := breakings[name]; b.check {
		case "session-fields", "session-time", "session-messages", "session-closed", "session-updated", "session-json", "session-twins", "session-expiry",
			"stream-type", "stream-missing", "stream-prefix", "stream-unlisted", "stream-shared", "counter-behind", "message-fields",
			"message-rate", "jobs-overdue", "instances", "state-keys", "node-size", "policy-unused", "trim-blocked":
			if b.layout == "" && len(b.args) == 0 {
				b.do(f)
			}
		}
	}
	// As the newest message, it is in every sample.
	f.append("car-2", f.now.Add(spacing), "id", 77, "data", f.payload("car 77", "open", f.now, true))
	f.do("DEL", buffer.CounterKey)
	f.do("SET", "streamkeeper:lease", "x")
	return f
}

func (f *fixture) findings() map[string]Finding {
	f.t.Helper()
	found := make(map[string]Finding)
	for _, finding := range must(f.newDoctor().Examine(f.ctx())).Findings {
		found[finding.Check] = finding
	}
	return found
}

// TestNothingIsWellBecauseARightIsMissing takes each word out of the rule of the
// doctor. Of a ruined buffer no finding may become ok; of a proper one, nothing may
// be said but what is not known, with the rights as the remedy.
func TestNothingIsWellBecauseARightIsMissing(t *testing.T) {
	for name, f := range map[string]*fixture{"ruined": ruined(t), "proper": newFixture(t, registry.Keys).respecting().proper()} {
		words, _ := f.doctor.Uses.OnlyReading().Rule()
		whole := f.findings()
		for i, word := range words {
			if word == "+multi" || word == "+discard" {
				continue // rights says so
			}
			t.Run(name+" without "+word, func(t *testing.T) {
				f.under(slices.Delete(slices.Clone(words), i, i+1)...)
				f.doctor.Connection = f.buffer.Connection
				for check, now := range f.findings() {
					switch before := whole[check]; {
					case check == "rights":
						if now.Severity != Error || !strings.Contains(now.Text, "+xadd") && !strings.Contains(now.Text, "+xtrim") {
							t.Errorf("rights: %s", text(now))
						}
					case before.Severity != OK && now.Severity == OK:
						t.Errorf("ok, and was %s\n is %s", text(before), text(now))
					case now.Severity == OK || now.Severity == before.Severity && now.Text == before.Text:
					case !strings.HasPrefix(now.Text, "not known: "):
						if before.Severity == OK {
							t.Errorf("was %s\n is %s", text(before), text(now))
						}
					case !strings.HasPrefix(now.Remedy, "Grant the Redis user the right: streamkeeper acl --read-only"):
						t.Errorf("%s advises: %s", text(now), now.Remedy)
					}
				}
			})
		}
	}
}

func TestTheDoctorsRuleSufficesAndTheDaemonsForAGlance(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, layout := range registry.Layouts() {
			f := newFixtureOn(t, start, layout).respecting().proper()
			f.do("XGROUP", "CREATE", "stream:car-1", "archive", "$")
			f.doctor.Uses.Layouts = []registry.Layout{layout}
			f.buffer.Layouts = f.doctor.Uses.Layouts
			full := f.doctor.Uses
			words, _ := full.OnlyReading().Rule()
			f.under(words...)
			f.doctor.Uses = full.OnlyReading()
			if found, denied := f.examine(), f.denials(); len(found) > 0 || len(denied) > 0 {
				t.Errorf("%s: denied %q, findings:%s", layout, denied, texts(found))
			}
			f.doctor.Uses = full
			if found := f.examine(); len(found) != 1 || found[0].Check != "rights" || found[0].Severity != Advice || !strings.Contains(found[0].Text, "+xtrim") {
				t.Errorf("%s, which is to be written to:%s", layout, texts(found))
			}
			// One that may write a little is a job's that lacks rights.
			words, _ = full.OnlyReading().Rule()
			f.under(append(words, "+xtrim")...)
			if found := f.examine(); len(found) != 1 || found[0].Check != "rights" || found[0].Severity != Error {
				t.Errorf("%s, which may trim and nothing else:%s", layout, texts(found))
			}
			words, _ = full.Rule()
			f.under(words...)
			r := must(f.newDoctor().Glance(f.ctx()))
			if found, denied := notOK(r), f.denials(); len(found) > 0 || len(denied) > 0 {
				t.Errorf("%s, a glance: denied %q, findings:%s", layout, denied, texts(found))
			}
			// The rule of the jobs lacks what the doctor alone reads.
			found := f.examine()
			if len(found) < 2 || found[0].Check != "rights" || found[0].Severity != Advice || !strings.Contains(found[0].Text, "~"+buffer.CounterKey) {
				t.Errorf("%s, the daemon's user:%s", layout, texts(found))
			}
			for _, finding := range found[1:] {
				if !strings.HasPrefix(finding.Text, "not known: ") || !strings.Contains(finding.Remedy, "acl --read-only") || strings.Contains(finding.Text, "(streamkeeper acl prints") {
					t.Errorf("%s, the daemon's user: %s; %s", layout, text(finding), finding.Remedy)
				}
			}
		}
	})
}

func TestUnderFewRightsAllThatAreMissingAreNamedInTheTable(t *testing.T) {
	f := newFixture(t, registry.Keys).proper()
	f.under("~streams", "~stream:*", "+@all", "-@dangerous")
	found := f.findings()
	if len(found) != len(f.newDoctor().newExamination(func(c *Check) bool { return c.ofBuffer() }).outcomes) {
		t.Errorf("%d findings", len(found))
	}
	for _, word := range []string{"+info", "+config|get", "~sessions", "~sessions:*", "~streamkeeper:retired", "~" + buffer.CounterKey} {
		if !strings.Contains(found["rights"].Text+" ", " "+word+" ") {
			t.Errorf("%s is not named: %s", word, text(found["rights"]))
		}
	}
	if found["session-time"].Severity == OK || found["stream-type"].Severity != OK {
		t.Errorf("%s; %s", text(found["session-time"]), text(found["stream-type"]))
	}
	f.under("~*", "+time", "+scard")
	if found := f.findings(); found["rights"].Severity != Error || !strings.Contains(found["rights"].Text, "+multi and +discard") || found["clock"].Severity != OK {
		t.Errorf("%s; %s", text(found["rights"]), text(found["clock"]))
	}
	f.under("~*", "+ping")
	if _, err := f.newDoctor().Examine(f.ctx()); redisconn.ClassOf(err) != redisconn.ClassAuth {
		t.Errorf("without any right: %v", err)
	}
}
