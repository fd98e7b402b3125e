package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst/pb"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

func TestABufferAsTheProtocolWantsItHasNoFindingInAnyLayout(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for _, layout := range registry.Layouts() {
			t.Run(string(layout), func(t *testing.T) {
				f := newFixtureOn(t, start, layout)
				if found := f.proper().examine(); len(found) > 0 {
					t.Errorf("findings:%s", texts(found))
				}
			})
		}
	})
}

func TestEachFaultIsFoundByItsCheckAlone(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for name, b := range breakings() {
			t.Run(b.check+": "+name, func(t *testing.T) {
				t.Parallel()
				if b.layout == "" {
					b.layout = registry.Keys
				}
				b.isFound(t, newFixtureOn(t, start, b.layout, b.args...))
			})
		}
	})
}

// isFound breaks the buffer, and checks that this alone is found.
func (b breaking) isFound(t *testing.T, f *fixture) {
	t.Helper()
	if b.expires && f.rdb.Do(f.ctx(), "HPERSIST", "none", "FIELDS", 1, "f").Err() != nil {
		t.Skip("fields do not expire on this server")
	}
	if !b.empty {
		f.proper()
	}
	if b.do != nil {
		b.do(f)
	}
	found := f.examine()
	if b.counted && !f.counts() {
		if len(found) > 0 {
			t.Errorf("what is not counted cannot be found:%s", texts(found))
		}
		return
	}
	b.isTheOne(t, found)
	if found[0].Rule == "" || found[0].Source == "" || found[0].Remedy == "" {
		t.Errorf("not all is said: %+v", found[0])
	}
}

// isTheOne checks that nothing else was found.
func (b breaking) isTheOne(t *testing.T, found []Finding) {
	t.Helper()
	if len(found) != 1 || found[0].Check != b.check || found[0].Severity != b.severity {
		t.Fatalf("want %s of %s alone, got:%s", b.severity, b.check, texts(found))
	}
	for _, part := range b.says {
		if !strings.Contains(text(found[0]), part) {
			t.Errorf("%q lacks %q", text(found[0]), part)
		}
	}
}

// TestEveryCheckIsBroken: a check that no fault is known for could as well not be.
func TestEveryCheckIsBroken(t *testing.T) {
	broken := map[string]bool{"version": true} // a server before 6.2 is not connected to
	for _, b := range breakings() {
		broken[b.check] = true
	}
	for _, b := range recordings() {
		broken[b.check] = true
	}
	seen := make(map[string]bool)
	for _, c := range Checks() {
		if !broken[c.ID] {
			t.Errorf("no case breaks %s", c.ID)
		}
		if seen[c.ID] {
			t.Errorf("two checks are called %s", c.ID)
		}
		seen[c.ID] = true
		if !slices.Contains(Groups(), c.Group) {
			t.Errorf("%s is in the unknown group %q", c.ID, c.Group)
		}
	}
}

func TestALongNameIsCutBetweenItsCharacters(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("a", 121):            strings.Repeat("a", 120) + "…",
		strings.Repeat("a", 119) + "é and…": strings.Repeat("a", 119) + "…",
		strings.Repeat("\xff", 130):         strings.Repeat("\xff", 120) + "…",
		strings.Repeat("é", 60):             strings.Repeat("é", 60),
	} {
		if got := shortened(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEachOfOurKeysThatAnotherUsesIsNamed(t *testing.T) {
	f := newFixture(t, registry.Keys).proper()
	f.doctor.Uses.History = true
	for _, name := range []string{"policy", "instances", "history", "undo:{sessions}", "undone:{sessions}", "retired", "left"} {
		f.do("SET", "streamkeeper:"+name, "x")
	}
	wrong := breaking{check: "state-keys", severity: Warning, says: []string{"7 keys of ours with another type", "[streamkeeper:policy: a string]"}}
	wrong.isTheOne(t, f.examine())
	f.doctor.Uses = buffer.Uses{Job: true, Inspect: true, Names: buffer.DefaultNames}
	if found := f.examine(); len(found) > 0 {
		t.Errorf("what is not in use:%s", texts(found))
	}
}

// TestMessagesThatWereNotReadAreNotCalledGood: one alone is longer than what a whole
// sample may read.
func TestMessagesThatWereNotReadAreNotCalledGood(t *testing.T) {
	f := newFixture(t, registry.Keys).proper()
	f.append("car-1", f.now.Add(spacing), "id", 1, "data", make([]byte, 17<<20))
	r := must(f.newDoctor().Examine(f.ctx()))
	for _, finding := range r.Findings {
		if finding.Check == "message-limit" && finding.Text != "no message sampled is over 1 MiB; 16.0 MiB did not suffice for the samples of 1 stream" {
			t.Error(text(finding))
		}
	}
}

// TestWhatIsCountedInPartSaysSo: no number reads as if it were all.
func TestWhatIsCountedInPartSaysSo(t *testing.T) {
	f := newFixture(t, registry.Object).proper()
	pipe := f.rdb.Pipeline()
	for n := range 1200 {
		pipe.SAdd(f.ctx(), "streams", fmt.Sprintf("ghost-%d", n))
		pipe.XAdd(f.ctx(), &redis.XAddArgs{Stream: fmt.Sprintf("stream:hidden-%d", n), Values: []string{"a", "b"}})
		pipe.HSet(f.ctx(), "sessions", fmt.Sprintf("faulty-%d", n), fmt.Sprintf(
			`{"streamSessionId":2,"streamName":"car-2","streamPosition":"0-0","lastUpdated":%d,"json":"{"}`, f.now.UnixMilli()))
	}
	must(pipe.Exec(f.ctx()))
	said := make(map[string]string)
	for _, finding := range f.examine() {
		said[finding.Check] = finding.Text
	}
	for check, want := range map[string]string{
		"stream-missing":     "at least 1 000 names in the set streams without a stream and without a session",
		"stream-unlisted":    "at least 1 000 streams that the set streams does not list",
		"session-json-valid": " sessions whose json is no JSON object, of 1 000 that were sampled",
	} {
		if !strings.HasSuffix(said[check], want) {
			t.Errorf("%s: %q, want %q", check, said[check], want)
		}
	}
}

// TestSessionsThatHaveEndedShareNoStream: a car's stream carries one session after
// the other.
func TestSessionsThatHaveEndedShareNoStream(t *testing.T) {
	f := newFixture(t, registry.Keys).proper()
	f.do("SET", buffer.CounterKey, 40)
	for id := 11; id <= 30; id++ {
		identity := fmt.Sprintf("run %d", id)
		f.append("car-1", f.now, "id", id, "data", f.payload(identity, "closed", f.now, true))
		f.entry(identity, "car-1", "closed", id, nil)
	}
	if found := f.examine(); len(found) > 0 {
		t.Errorf("findings:%s", texts(found))
	}
}

func TestJobsOfInstancesThatDoNotLeadAreNotKnown(t *testing.T) {
	for want, instances := range map[string][]buffer.Instance{
		"no daemon has noted itself":                          nil,
		"not known: no instance leads":                        {{Name: "pod-1"}, {Name: "pod-2"}},
		"not known: the instance that leads has noted no job": {{Name: "pod-1", Leads: true}},
		"last success: trim not noted yet":                    {{Name: "pod-1", Leads: true, Jobs: []buffer.JobOfInstance{{Name: "trim"}}}, {Name: "pod-2"}},
	} {
		check := jobsOverdue()
		o := &outcome{check: &check, severity: OK}
		check.server(&Server{Instances: instances}, o)
		if f := o.finding(); f.Severity != OK || f.Text != want {
			t.Errorf("%s, want %s", text(f), want)
		}
	}
}

func TestAnOldServerIsAnError(t *testing.T) {
	for version, want := range map[string]Severity{"6.0.9": Error, "6.2.0": OK, "8.0.1": OK} {
		c := versionCheck()
		o := &outcome{check: &c, severity: OK}
		c.server(&Server{Server: redisconn.Server{Name: "redis", Version: version}}, o)
		if o.severity != want {
			t.Errorf("%s: %s", version, text(o.finding()))
		}
	}
}

func versionCheck() Check { return version() }

// TestOtherTrimmersAreNotSeenWhereOursMayHaveTrimmed: what our own trimming can
// leave is no finding, and what is not known is said.
func TestOtherTrimmersAreNotSeenWhereOursMayHaveTrimmed(t *testing.T) {
	length := trim.Policy{MaxLength: 100}
	now := time.Now()
	gone := Stream{Trims: true, Policy: length, Now: now, Recorded: true, Info: buffer.StreamInfo{Type: "stream", Length: 50, Added: 90}}
	gone.Info.First.Ms = uint64(now.Add(-time.Hour).UnixMilli())
	for name, c := range map[string]struct {
		change func(*Stream)
		want   Severity
		says   string
	}{
		"shorter than the limit":         {func(*Stream) {}, Warning, ""},
		"at the limit":                   {func(s *Stream) { s.Info.Length = 100; s.Info.Added = 900 }, OK, "no other trimmer is seen"},
		"nothing has gone":               {func(s *Stream) { s.Info.Added = 50 }, OK, "no other trimmer is seen"},
		"limited by age too":             {func(s *Stream) { s.Policy.MaxAge = time.Hour }, OK, "not known of 1 stream"},
		"limited by memory too":          {func(s *Stream) { s.Policy.MaxBytes = 1 << 20 }, OK, "not known of 1 stream"},
		"memory was short":               {func(s *Stream) { s.Relieved = true }, OK, "not known of 1 stream"},
		"trimming is off":                {func(s *Stream) { s.Trims = false }, OK, "trimming is off here"},
		"kept whole, whatever the limit": {func(s *Stream) { s.Policy.KeepAll, s.Relieved = true, true }, Warning, ""},
		"it is not recorded":             {func(s *Stream) { s.Recorded = false }, OK, "not known of 1 stream"},
		"Redis does not count":           {func(s *Stream) { s.Info.Added = -1 }, OK, "not known: this Redis does not count"},
	} {
		check, s := otherTrimmers(), gone
		c.change(&s)
		o := &outcome{check: &check, severity: OK}
		b := Buffer{Server: &Server{Trims: s.Trims}}
		b.Totals.add(&s)
		check.stream(&s, o)
		check.buffer(&b, o)
		if f := o.finding(); f.Severity != c.want || !strings.Contains(f.Text, c.says) {
			t.Errorf("%s: %s", name, text(f))
		}
	}
}

// TestLimitsOfMemoryAreTakenIntoAccount: a stream that its limit of bytes has
// shortened is no sign of another trimmer, and takes no more than that limit.
func TestLimitsOfMemoryAreTakenIntoAccount(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		f := newFixtureOn(t, start, registry.Keys).proper()
		f.do("CONFIG", "SET", "maxmemory", 4*f.usedMemory())
		f.doctor.Policies.Default = trim.Policy{MaxLength: 100_000_000, MaxBytes: 64 << 10}
		f.do("XTRIM", "stream:car-1", "MAXLEN", "10")
		if found := f.examine(); len(found) > 0 {
			t.Errorf("findings:%s", texts(found))
		}
	})
}

func TestAPolicyThatIsOfferedIsOneThatIsTaken(t *testing.T) {
	for seconds, want := range map[float64]string{
		60: "60s", 119.9: "119s", 125: "2m", 7199: "119m", 7201: "2h", 172_799: "47h", 200_000: "2d", 1e12: "365d",
	} {
		text := ageText(policyAge(seconds))
		if text != want {
			t.Errorf("%v s: %s, want %s", seconds, text, want)
		}
		if _, err := trim.ParseRules("*: max_age="+text, trim.Policy{}); err != nil {
			t.Error(err)
		}
	}
}

func recordings() map[string]breaking {
	return map[string]breaking{
		"no message": {check: "record-complete", severity: Error, says: []string{"none of 21 entries"}, do: func(f *fixture) {
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"no Session JSON": {check: "record-start", severity: Error, says: []string{"no message has a Session JSON"}, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, false))
			f.append("car-2", f.now, "id", 9, "data", f.pack(&pb.StreamDataBurst{Data: append([]*pb.StreamData{rangeData(f.start(), f.now.Add(spacing))}, bulk(f.now)...)}))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"another's Session JSON": {check: "record-start", severity: Error, says: []string{`identity "somebody"`}, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("somebody", "closed", f.now, true))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"left open": {check: "record-end", severity: Error, says: []string{"says open"}, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "open", f.now, true))
			f.entry("tested", "car-2", "open", 9, nil)
		}},
		"closed, but not in the entry": {check: "record-end", severity: Error, says: []string{"end with closed, and the entry says open"}, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, true))
			f.entry("tested", "car-2", "open", 9, nil)
		}},
		"data after the time range": {check: "record-range", severity: Error, says: []string{"ends 1m before the last data"}, do: func(f *fixture) {
			at := f.now.Add(-2 * time.Minute)
			f.append("car-2", f.now, "id", 9, "data", f.pack(&pb.StreamDataBurst{Data: append([]*pb.StreamData{
				f.sessionData("tested", "closed"), rangeData(at, at.Add(spacing)), periodicData(99, at.Add(time.Minute), spacing)}, bulk(at)...)}))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"data that goes back": {check: "record-order", severity: Error, says: []string{"goes back by 1s"}, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "open", f.now, true))
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "open", f.now.Add(-time.Second), false))
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, true))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"data in milliseconds": {check: "record-order", severity: Error, says: []string{"looks like milliseconds"}, do: func(f *fixture) {
			odd := &pb.StreamData{Data: &pb.StreamData_RowData{RowData: &pb.RowData{ChannelIds: []uint32{1}, Timestamp: f.now.UnixMilli(), Buffer: []byte{1}}}}
			f.append("car-2", f.now, "id", 9, "data", f.pack(&pb.StreamDataBurst{Data: append([]*pb.StreamData{
				f.sessionData("tested", "closed"), rangeData(f.start(), f.now.Add(spacing)), odd}, bulk(f.now)...)}))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"a message that nobody can read": {check: "message-valid", severity: Error, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "open", f.now, true))
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "open", f.now, true)[:20])
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, true))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"a burst over 1 MiB that does not compress": {check: "message-limit", severity: Error, says: []string{"1 message over 1 MiB", "1.2 MiB"}, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "open", f.now, true))
			f.append("car-2", f.now, "id", 9, "data", f.noise(f.now, 1200<<10))
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, true))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"a message too long to be read": {check: "message-valid", severity: Error, says: []string{"1 message that", "too_large"}, do: func(f *fixture) {
			f.doctor.Inspect.MaxBurst = 512 << 10
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "open", f.now, true))
			f.append("car-2", f.now, "id", 9, "data", f.noise(f.now, 700<<10))
			f.append("car-2", f.now, "id", 8, "data", f.noise(f.now, 700<<10)) // another's
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, true))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"another session with its id": {check: "session-twins", severity: Error, says: []string{`"aside" and "tested"`}, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, true))
			f.entry("tested", "car-2", "closed", 9, nil)
			f.entry("aside", "car-2", "closed", 9, nil)
		}},
		"a state that nobody knows": {check: "message-advice", severity: Warning, says: []string{"session_state_unknown"}, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "running", f.now, true))
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, true))
			f.entry("tested", "car-2", "closed", 9, nil)
		}},
		"the time in seconds": {check: "session-time", severity: Error, do: func(f *fixture) {
			f.append("car-2", f.now, "id", 9, "data", f.payload("tested", "closed", f.now, true))
			f.entry("tested", "car-2", "closed", 9, map[string]any{"lastUpdated": f.now.Unix()})
		}},
	}
}

// bulk is data of some 16 KiB.
func bulk(at time.Time) (data []*pb.StreamData) {
	for channel := range 40 {
		data = append(data, periodicData(uint32(channel), at, spacing))
	}
	return data
}

func TestASessionIsCheckedFromItsFirstMessageToItsLast(t *testing.T) {
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		for name, b := range recordings() {
			t.Run(b.check+": "+name, func(t *testing.T) {
				t.Parallel()
				f := newFixtureOn(t, start, registry.Keys).proper()
				b.do(f)
				b.isTheOne(t, f.examineSession("tested"))
			})
		}
		for _, layout := range registry.Layouts() {
			t.Run("a proper one, "+string(layout), func(t *testing.T) {
				t.Parallel()
				f := newFixtureOn(t, start, layout).proper()
				if found := f.examineSession("car 2: race"); len(found) > 0 {
					t.Errorf("findings:%s", texts(found))
				}
			})
		}
	})
}

func TestNothingIsWritten(t *testing.T) {
	f := newFixture(t, registry.Keys).proper()
	ctx := t.Context()
	before := must(f.rdb.InfoMap(ctx, "persistence").Result())["Persistence"]["rdb_changes_since_last_save"]
	f.examine()
	f.examineSession("car 2: race")
	if after := must(f.rdb.InfoMap(ctx, "persistence").Result())["Persistence"]["rdb_changes_since_last_save"]; after != before {
		t.Errorf("%s changes, were %s", after, before)
	}
}

func TestAGlanceSeesWhatIsCheap(t *testing.T) {
	f := newFixture(t, registry.Keys, "--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru").proper()
	f.list("stream:car-1")
	r, err := f.newDoctor().Glance(f.ctx())
	if err != nil {
		t.Fatal(err)
	}
	var checks []string
	for _, finding := range notOK(r) {
		checks = append(checks, finding.Check)
	}
	if want := []string{"eviction", "stream-prefix"}; !slices.Equal(checks, want) {
		t.Errorf("found %v, want %v", checks, want)
	}
	if len(r.Findings) != len(Glances()) {
		t.Errorf("%d findings of %d checks", len(r.Findings), len(Glances()))
	}
}
