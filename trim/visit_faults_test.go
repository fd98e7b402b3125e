package trim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// followed is a trimmer that visits streams when something can be due, over a
// store whose answers can be changed, and what it says.
type followed struct {
	*world
	*Trimmer
	log bytes.Buffer

	census    func(buffer.Census, error) (buffer.Census, error)
	lengthErr map[string]error
	cutWalk   bool
	clockErr  error
}

// follow makes one over ten streams at their limit, two of which grow.
func follow(t *testing.T, change ...func(*Options)) *followed {
	t.Helper()
	f := &followed{world: realWorld(t), lengthErr: make(map[string]error)}
	for i := range 10 {
		f.fill(fmt.Sprint("car-", i), 10, times(time.Now().Add(-time.Hour), 100)...)
	}
	o := Options{
		Policies: Policies{Default: Policy{MaxLength: 100, Exact: true}}, VisitAll: DefaultVisitAll,
		Log: slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	f.Trimmer = New(faultyStore{f.world.store, f}, o)
	for range 4 {
		f.grow()
		f.visited()
	}
	if got := f.visited(); got != 2 {
		t.Fatalf("%d streams are visited in the end, want the 2 that grow\n%s", got, &f.log)
	}
	f.log.Reset()
	return f
}

func (f *followed) grow() { f.add(0, 5); f.add(1, 5) }

func (f *followed) add(stream, n int) {
	f.t.Helper()
	for range n {
		if err := f.rdb.XAdd(f.t.Context(), &redis.XAddArgs{Stream: streamOf(stream), Values: []string{"d", "x"}}).Err(); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *followed) visited() int64 {
	f.t.Helper()
	return f.run(f.Trimmer).Visited
}

type faultyStore struct {
	*watched
	f *followed
}

func (s faultyStore) Now(ctx context.Context) (time.Time, error) {
	now, err := s.watched.Now(ctx)
	return now, errors.Join(err, s.f.clockErr)
}

func (s faultyStore) Census(ctx context.Context, names []string) (buffer.Census, error) {
	c, err := s.watched.Census(ctx, names)
	if s.f.census != nil {
		return s.f.census(c, err)
	}
	return c, err
}

func (s faultyStore) Lengths(ctx context.Context, names []string) ([]buffer.Length, error) {
	lengths, err := s.watched.Lengths(ctx, names)
	for i, name := range names {
		if s.f.lengthErr[name] != nil {
			lengths[i] = buffer.Length{Err: s.f.lengthErr[name]}
		}
	}
	return lengths, err
}

func (s faultyStore) WalkStreams(ctx context.Context, visit func([]string) error) error {
	err := s.watched.WalkStreams(ctx, visit)
	if s.f.cutWalk {
		return errors.New("the walk broke off")
	}
	return err
}

// all is the number of visits in a run that visits all ten streams.
const all = 10

func TestARunThatCannotBeSureVisitsAllTheNextTime(t *testing.T) {
	failure := errors.New("it failed")
	for _, c := range []struct {
		what string
		do   func(*followed)
		undo func(*followed)
		// fails: the run itself does.
		fails bool
	}{
		{
			"the clock could not be trusted",
			func(f *followed) { f.clockErr = buffer.ErrClock },
			func(f *followed) { f.clockErr = nil }, true,
		},
		{
			"the walk broke off",
			func(f *followed) { f.cutWalk = true; f.add(5, 1) },
			func(f *followed) { f.cutWalk = false }, true,
		},
		{
			"a stream could not be asked",
			func(f *followed) { f.lengthErr["car-7"] = failure; f.add(5, 1) },
			func(f *followed) { f.lengthErr = nil }, false,
		},
		{
			"the census failed",
			func(f *followed) {
				f.census = func(buffer.Census, error) (buffer.Census, error) { return buffer.Census{}, failure }
			},
			func(f *followed) { f.census = nil }, false,
		},
		{
			"somebody says that the set of streams has changed",
			func(*followed) {},
			func(f *followed) { f.Revisit() }, false,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := follow(t)
			c.do(f)
			if _, err := f.Run(t.Context()); (err != nil) != c.fails {
				t.Errorf("the run: %v", err)
			}
			c.undo(f)
			if got := f.visited(); got != all {
				t.Errorf("%d streams are visited in the next run", got)
			}
		})
	}
}

func TestWhereTheServerDoesNotTellAllAreVisitedForGood(t *testing.T) {
	f := follow(t)
	asked := 0
	f.census = func(buffer.Census, error) (buffer.Census, error) {
		asked++
		return buffer.Census{}, fmt.Errorf("asking: %w", buffer.ErrUncounted)
	}
	for range 5 {
		f.grow()
		if r := f.run(f.Trimmer); r.Visited != all || r.EntriesRemoved != 10 {
			t.Errorf("%+v", r)
		}
	}
	if n := strings.Count(f.log.String(), "each run visits every stream"); n != 1 || asked != 1 {
		t.Errorf("asked %d times, and said so %d times", asked, n)
	}
	if got := f.Growing(); !got.Since.IsZero() {
		t.Errorf("it tells others that it knows: %+v", got)
	}
}

func TestAStreamThatACensusCannotMeasureIsAskedAgain(t *testing.T) {
	f := follow(t)
	f.rdb.Del(t.Context(), streamOf(1))
	f.rdb.Set(t.Context(), streamOf(1), "text", 0)
	var malformed []string
	f.o.OnMalformed = func(kind string) { malformed = append(malformed, kind) }
	if got := f.visited(); got != 2 || !slices.Equal(malformed, []string{"stream_type"}) {
		t.Errorf("%d streams are visited, malformed %q", got, malformed)
	}
}

func TestAStreamThatWokeBehindTheWalkIsTrimmedInTheNextRun(t *testing.T) {
	f := follow(t)
	f.add(5, 1) // so that all are visited
	count := 0
	f.census = func(c buffer.Census, err error) (buffer.Census, error) {
		if count++; count == 3 { // after the walk
			f.add(9, 500)
		}
		return c, err
	}
	f.visited()
	f.census = nil
	f.add(9, 500) // behind the walk, before the next run
	f.visited()
	if n := f.length("car-9"); n != 100 {
		t.Errorf("%d entries are left", n)
	}
}

func TestLargeEntriesThatAgeAreNotForgotten(t *testing.T) {
	w := realWorld(t)
	now := time.Now()
	w.store.now = now
	w.fill("large", 16<<10, times(now.Add(-61*time.Minute), 6)...)
	w.fill("large", 16<<10, times(now.Add(-59*time.Minute), 4)...)
	tr := w.trimmer(Policy{MaxAge: time.Hour}, func(o *Options) { o.VisitAll = DefaultVisitAll })
	for _, want := range []int64{4, 4, 0} {
		w.run(tr)
		if n := w.length("large"); n != want {
			t.Errorf("%d entries are left, want %d", n, want)
		}
		w.store.now = w.store.now.Add(35 * time.Second)
	}
}

func TestAStreamThatWasTrimmedAndDoesNotGrowNeedsNoVisit(t *testing.T) {
	for _, p := range []Policy{{MaxLength: 100}, {MaxLength: 100, Exact: true}} {
		w := realWorld(t)
		w.fill("car", 10, times(time.Now().Add(-time.Hour), 250)...)
		tr := w.trimmer(p, func(o *Options) { o.VisitAll = DefaultVisitAll })
		if r := w.run(tr); r.Visited != 1 || r.EntriesRemoved == 0 {
			t.Errorf("%s: %+v", p, r)
		}
		if r := w.run(tr); r.Visited != 0 || r.Streams != 1 {
			t.Errorf("%s: %+v in the second run", p, r)
		}
	}
}

func TestALengthThatCouldNotBeReadOnceIsNoGrowthLater(t *testing.T) {
	f := follow(t)
	f.census = func(c buffer.Census, err error) (buffer.Census, error) {
		c.Lengths[0] = buffer.Length{Err: errors.New("not now")}
		return c, err
	}
	f.visited()
	f.census = nil
	f.grow()
	if got := f.visited(); got != 2 {
		t.Errorf("%d streams are visited\n%s", got, &f.log)
	}
}

func TestOthersAreToldWhoGrows(t *testing.T) {
	f := follow(t)
	told := f.Growing()
	if !slices.Equal(told.Streams, []string{"car-0", "car-1"}) || told.Since.IsZero() {
		t.Errorf("told %+v", told)
	}
	f.grow()
	f.visited()
	if again := f.Growing(); !again.Since.Equal(told.Since) {
		t.Errorf("told %+v, though all were visited at %s", again, told.Since)
	}
	f.add(7, 1)
	f.visited()
	if again := f.Growing(); again.Since.Equal(told.Since) || !slices.Contains(again.Streams, "car-7") {
		t.Errorf("told %+v after another woke", again)
	}
	f.cutWalk = true
	f.Revisit()
	if _, err := f.Run(t.Context()); err == nil {
		t.Fatal("the walk did not break off")
	}
	if again := f.Growing(); !again.Since.IsZero() {
		t.Errorf("told %+v after a run that failed", again)
	}
}

func TestWhatAGroupHoldsBackIsTrimmedWhenItLetsGo(t *testing.T) {
	f := follow(t, func(o *Options) { o.RespectGroups, o.GroupIdleAfter = true, 24*time.Hour })
	ctx := t.Context()
	if err := f.rdb.XGroupCreate(ctx, streamOf(8), "readers", "0").Err(); err != nil {
		t.Fatal(err)
	}
	read := func(count int64) {
		t.Helper()
		if err := f.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "readers", Consumer: "c", Streams: []string{streamOf(8), ">"}, Count: count, NoAck: true}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	read(10)
	f.add(8, 50)
	for range 3 {
		f.visited()
	}
	// So long after that it counts no longer as one that grows.
	f.world.store.now = time.Now()
	for range 12 {
		f.world.store.now = f.world.store.now.Add(4 * time.Minute)
		f.visited()
	}
	if n := f.length("car-8"); n != 140 {
		t.Fatalf("%d entries are left, want all that were not read", n)
	}
	read(1000)
	f.visited()
	if n := f.length("car-8"); n != 100 {
		t.Errorf("%d entries are left", n)
	}
}

func TestWhatPressureTakesIsNoGrowth(t *testing.T) {
	f := follow(t, func(o *Options) {
		o.Policies.Default, o.Pressure = Policy{MaxLength: 5000, MinAge: testMinAge}, testShare
	})
	f.fill("large", 4000, times(time.Now().Add(-time.Hour), 5000)...)
	for range 3 {
		f.visited()
	}
	f.limitMemory(0.9)
	before := f.length("large")
	f.visited()
	if n := f.length("large"); n >= before {
		t.Fatalf("nothing was taken of %d entries", before)
	}
	if told := f.Growing(); !told.Since.IsZero() {
		t.Errorf("others are told that lengths stayed: %+v", told)
	}
	if err := f.rdb.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	f.grow()
	if got := f.visited(); got >= all {
		t.Errorf("%d streams are visited, as if the others had grown", got)
	}
}
