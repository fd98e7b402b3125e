package model

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestMain(m *testing.M) { program.Main(m) }

func decode(text string) (rune, int) {
	r, size := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError {
		return r, 1
	}
	return r, size
}

// fixedSeed is that of the cases that are the same in every run.
const fixedSeed = 1

func TestPlanAndOnceDoWhatTheContractSays(t *testing.T) {
	seeds := casesWanted(t)
	t.Logf("seeds %v", seeds)
	begun := time.Now()
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		s := start(t)
		trials := redis.NewClient(&redis.Options{Addr: s.Addr, DB: 1, Protocol: 2})
		t.Cleanup(func() { _ = trials.Close() })
		failed, tried := 0, 0
		defer func() { t.Logf("%d cases", tried) }()
		for _, span := range seeds {
			for i := range span.cases {
				if byHand := os.Getenv("MODEL_CASES") != ""; !byHand && tried > 4 && time.Since(begun) > enough {
					return
				}
				tried++
				r := &run{T: t, server: s, clients: clients{s.Client, trials}}
				r.try(span.seed + i)
				if r.wrong {
					failed++
				}
				if failed == 10 {
					t.Fatal("ten cases failed; the rest is not tried")
				}
			}
		}
	})
}

// span is a number of cases with seeds in a row.
type span struct{ seed, cases uint64 }

// enough is how long a short run may take on a slow machine.
const enough = 15 * time.Second

// casesWanted are some with a fixed seed and some with a fresh one, unless the
// environment asks for others.
func casesWanted(t *testing.T) []span {
	t.Helper()
	number := func(name string) uint64 {
		n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	cases := uint64(24)
	if testing.Short() {
		cases = 5
	}
	if os.Getenv("MODEL_CASES") != "" {
		cases = number("MODEL_CASES")
	}
	if os.Getenv("MODEL_SEED") != "" {
		if os.Getenv("MODEL_CASES") == "" {
			cases = 1
		}
		return []span{{number("MODEL_SEED"), cases}}
	}
	return []span{{rand.Uint64N(1 << 40), (cases + 1) / 2}, {fixedSeed, cases / 2}}
}

// run is one case on one server.
type run struct {
	*testing.T
	server   *redistest.Server
	clients  clients
	scenario scenario
	wrong    bool
}

// fail reports what is wrong, and the first time how to see it again.
func (r *run) fail(format string, args ...any) {
	r.Helper()
	if !r.wrong {
		var commands strings.Builder
		for _, c := range r.scenario.commands {
			for _, arg := range c {
				fmt.Fprintf(&commands, "%q ", fmt.Sprint(arg))
			}
			commands.WriteByte('\n')
		}
		where := fmt.Sprintf("%s/model-%d.txt", os.TempDir(), r.scenario.seed)
		text := strings.Join(r.scenario.settings.environment(), "\n") + "\n\n" + commands.String()
		if err := os.WriteFile(where, []byte(text), 0o600); err != nil {
			r.Error(err)
		}
		r.Logf("MODEL_SEED=%d makes this case again; settings and commands are in %s", r.scenario.seed, where)
	}
	r.wrong = true
	r.Errorf("seed %d: "+format, append([]any{r.scenario.seed}, args...)...)
}

// try makes the case of a seed and checks it.
func (r *run) try(seed uint64) {
	ctx := r.Context()
	now, err := r.server.Client.Time(ctx).Result()
	check(r, err)
	r.scenario = makeScenario(seed, now)
	check(r, r.server.Client.FlushAll(ctx).Err())
	pipe := r.server.Client.Pipeline()
	for _, c := range r.scenario.commands {
		pipe.Do(ctx, c...)
	}
	_, _ = pipe.Exec(ctx) // some are refused, such as the id of an entry that is gone

	before := r.clients.read(r)
	check(r, r.server.ResetCalls(ctx))
	code, plan := jsonOf[planJSON](r, "plan")
	if code != 0 {
		r.fail("plan: exit %d", code)
		return
	}
	r.wroteNothing()
	if what := before.same(r.clients.read(r)); what != "" {
		r.fail("plan wrote: %s", what)
	}
	code, once := jsonOf[onceJSON](r, "once")
	after := r.clients.read(r)
	r.judge(before, after, plan, once, code)

	code, again := jsonOf[onceJSON](r, "once")
	if again.job("cleanup").Brake == "" && code != 0 {
		r.fail("a second once: exit %d", code)
	}
	r.findsNothing(again, after, r.clients.read(r), len(plan.of("restore")) > 0)
}

// writes are commands of which plan sends none.
var writes = []string{"set", "xtrim", "xadd", "xdel", "del", "unlink", "hset", "hdel", "sadd", "srem", "zadd", "zrem", "expire", "pexpire", "rename", "eval", "evalsha"}

func (r *run) wroteNothing() {
	calls, err := r.server.CommandCalls(r.Context())
	check(r, err)
	for _, name := range writes {
		if strings.HasPrefix(name, "eval") {
			continue // which only read, where the server has no EVAL_RO
		}
		if calls[name] > 0 {
			r.fail("plan sent %d times %s", calls[name], name)
		}
	}
}

// judge compares what is left with what is right.
func (r *run) judge(before, after dump, plan planJSON, once onceJSON, code int) {
	s := r.scenario.settings
	sessions := judge(before, s)
	held := guard(before, s, sessions)
	tripped := once.job("cleanup").Brake != ""
	if tripped && held == stays || !tripped && held == goes {
		r.fail("the guard says %q, and its rule %q", once.job("cleanup").Brake, held)
	}
	wantCode := 0
	if tripped {
		wantCode = 3
	}
	if code != wantCode {
		r.fail("once: exit %d, jobs %+v", code, once.Jobs)
	}
	if brake, _ := plan.Summary["brake"].(string); (brake != "") != tripped && !anyHidden(sessions) {
		r.fail("plan's guard says %q, and once's %q", brake, once.job("cleanup").Brake)
	}
	expired := r.judgeSessions(sessions, after, tripped)
	retired, gained := r.judgeStreams(before, after, sessions, tripped)
	trimmed := r.judgeEntries(before, after)
	r.judgeRest(before, after)
	if !tripped {
		open, openStreams := hidden(sessions)
		r.agree(plan, "expire", expired, once.job("cleanup").SessionsExpired, open)
		r.agree(plan, "retire", retired, once.job("cleanup").StreamsRetired, openStreams)
		r.agree(plan, "restore", gained, once.job("cleanup").StreamsRestored, nil)
		r.agree(plan, "drop-name", nil, once.job("cleanup").NamesDropped, nil)
	}
	r.agreeTrims(plan, before, after, trimmed)
}

// judgeSessions returns the sessions that went.
func (r *run) judgeSessions(sessions []*session, after dump, tripped bool) (gone []string) {
	for _, s := range sessions {
		there := s.there(after)
		if !there {
			gone = append(gone, escape(s.identity))
		}
		switch {
		case there && s.fate == goes && !tripped:
			r.fail("session %q (%s, %s) stayed", s.identity, s.layout, s.why)
		case !there && (s.fate == stays || tripped):
			r.fail("session %q (%s, %s) went", s.identity, s.layout, s.why)
		}
	}
	return gone
}

// there says whether any part of a session is left, but for what may be an entry of its
// own: where it lies, both readings are right, and in doubt nothing goes.
func (s *session) there(d dump) bool {
	switch hash := d.keys["sessions"]; s.layout {
	case "keys":
		return d.keys["sessions:"+s.identity] != nil
	case "object":
		return hash != nil && has(hash.hash, s.identity)
	default:
		for name, value := range s.values {
			if hash != nil && has(hash.hash, s.identity+":"+name) && !isEntry(object(value)) {
				return true
			}
		}
		return false
	}
}

func has[V any](m map[string]V, name string) bool { _, ok := m[name]; return ok }

// judgeStreams returns the streams that went and the names that came back.
func (r *run) judgeStreams(before, after dump, sessions []*session, tripped bool) (gone, gained []string) {
	s := r.scenario.settings
	for _, name := range before.names() {
		want, why := streamFate(before, s, name, sessions)
		if want == goes && tripped {
			want, why = stays, "the guard"
		}
		there, listed := after.stream(name) != nil, after.listed[name]
		had := before.stream(name) != nil
		switch {
		case had != there && !listed:
			gone = append(gone, escape(name))
			if want == stays {
				r.fail("stream %q (%s) went", name, why)
			}
		case had != there || !listed:
			r.fail("stream %q: key there %t, listed %t (%s: %s)", name, there, listed, want, why)
		case want == goes:
			r.fail("stream %q (%s) stayed", name, why)
		}
	}
	for name := range before.keys {
		name, ok := strings.CutPrefix(name, "stream:")
		if !ok || before.listed[name] {
			continue
		}
		want := restored(before, s, name, sessions)
		if after.stream(name) == nil {
			r.fail("stream %q, which is not listed, went", name)
		}
		if after.listed[name] {
			gained = append(gained, escape(name))
		}
		if after.listed[name] && want == stays || !after.listed[name] && want == goes {
			r.fail("stream %q is listed again: %t", name, after.listed[name])
		}
	}
	return gone, gained
}

// judgeEntries returns how many entries went from each stream that is left.
func (r *run) judgeEntries(before, after dump) map[string]int {
	trimmed := make(map[string]int)
	s := r.scenario.settings
	for name, k := range before.keys {
		name, ok := strings.CutPrefix(name, "stream:")
		if !ok || k.kind != "stream" || after.stream(name) == nil || after.stream(name).kind != "stream" {
			continue
		}
		left := after.stream(name).entries
		from := len(k.entries) - len(left)
		if from < 0 || !slices.EqualFunc(left, k.entries[from:], func(a, b entry) bool { return a.id == b.id }) {
			r.fail("stream %q: what is left is not its newest entries", name)
			continue
		}
		want := kept{}
		if before.listed[name] && !s.excluded(name) {
			want = entriesOf(k, s.policyOf(name), s.respectGroups, before.now)
		}
		if from > 0 {
			trimmed[escape(name)] = from
		}
		if from > want.must || from < want.may {
			r.fail("stream %q: the oldest %d of %d entries went; at least %d and at most %d are to (policy %+v, nodes %v, groups %v)",
				name, from, len(k.entries), want.may, want.must, s.policyOf(name), k.nodes, k.groups)
		}
	}
	return trimmed
}

// judgeRest checks that nothing else was changed.
func (r *run) judgeRest(before, after dump) {
	for name := range after.keys {
		if before.keys[name] == nil && name != "streams" {
			r.fail("the key %q is new", name)
		}
	}
	for name, k := range before.keys {
		if strings.HasPrefix(name, "stream:") || strings.HasPrefix(name, "sessions") || name == "streams" {
			continue
		}
		if other := after.keys[name]; other == nil || fmt.Sprint(*k) != fmt.Sprint(*other) {
			r.fail("the key %q was changed", name)
		}
	}
	hash := before.keys["sessions"]
	if hash == nil {
		return
	}
	if left := after.keys["sessions"]; left != nil {
		for name, value := range left.hash {
			if hash.hash[name] != value {
				r.fail("the field %q of sessions was changed", name)
			}
		}
	}
}

// hidden are the sessions, and the streams that they name, of which plan may say
// one thing and once do another: plan sees entries that once trims first.
func hidden(sessions []*session) (identities, streams map[string]bool) {
	identities, streams = make(map[string]bool), make(map[string]bool)
	for _, s := range sessions {
		if s.hidden {
			identities[escape(s.identity)], streams[escape(s.stream())] = true, true
		}
	}
	return identities, streams
}

func anyHidden(sessions []*session) bool {
	return slices.ContainsFunc(sessions, func(s *session) bool { return s.hidden })
}

// agree compares plan's actions of one kind with what happened, but for those
// that are open.
func (r *run) agree(plan planJSON, kind string, happened []string, counted int, open map[string]bool) {
	if counted != len(happened) {
		r.fail("once counts %d times %s, and did %q", counted, kind, happened)
	}
	var said []string
	for _, a := range plan.of(kind) {
		if kind == "expire" {
			said = append(said, a.Session)
		} else {
			said = append(said, a.Stream)
		}
	}
	isOpen := func(name string) bool { return open[name] }
	said, happened = slices.DeleteFunc(said, isOpen), slices.DeleteFunc(slices.Clone(happened), isOpen)
	slices.Sort(said)
	slices.Sort(happened)
	if !slices.Equal(said, happened) {
		r.fail("plan says %s %q, and once did %q", kind, said, happened)
	}
}

// agreeTrims compares plan's entries with those that went.
func (r *run) agreeTrims(plan planJSON, before, after dump, trimmed map[string]int) {
	said := make(map[string]action)
	for _, a := range plan.of("trim") {
		said[a.Stream] = a
	}
	for _, p := range plan.Protected {
		a := said[p.Stream]
		a.Estimated = a.Estimated || p.Estimated
		said[p.Stream] = a
	}
	names := maps.Clone(trimmed)
	for name := range said {
		names[name] += 0
	}
	for name := range names {
		k := before.stream(unescape(name, before))
		if k == nil || after.stream(unescape(name, before)) == nil {
			continue // retired after it was trimmed
		}
		off := said[name].Entries - trimmed[name]
		slack := 0
		if said[name].Estimated {
			// What ages and groups leave is reckoned as if the stream grew evenly.
			slack = len(k.entries) / 20
			largest := 0
			for i := range k.entries {
				largest = max(largest, nodeSize(k, i))
			}
			slack += largest
		}
		if max(off, -off) > slack {
			r.fail("stream %q: plan says that %d entries go (estimated %t), and %d went", name, said[name].Entries, said[name].Estimated, trimmed[name])
		}
	}
}

// findsNothing checks that a second run has nothing to do; streams that the
// first has listed again are trimmed for the first time.
func (r *run) findsNothing(again onceJSON, after, later dump, restored bool) {
	c := again.job("cleanup")
	if n := c.SessionsExpired + c.StreamsRetired + c.StreamsRestored + c.NamesDropped; n != 0 {
		r.fail("a second once still has something to do: %+v", c)
	}
	if restored {
		return
	}
	if n := again.job("trim").EntriesRemoved; n != 0 {
		r.fail("a second once removes %d entries", n)
	}
	if what := after.same(later); what != "" {
		r.fail("a second once: %s", what)
	}
}

// escape writes a name as tables, JSON and logs do.
func escape(name string) string {
	var out strings.Builder
	for i := 0; i < len(name); {
		r, size := decode(name[i:])
		switch {
		case r == '\\':
			out.WriteString(`\\`)
		case r == utf8.RuneError || r < ' ' || r == 0x7f:
			fmt.Fprintf(&out, `\x%02x`, name[i])
		default:
			out.WriteString(name[i : i+size])
		}
		i += size
	}
	return out.String()
}

// unescape finds the name of a stream that is written so.
func unescape(text string, d dump) string {
	for name := range d.keys {
		if name, ok := strings.CutPrefix(name, "stream:"); ok && escape(name) == text {
			return name
		}
	}
	return text
}
