package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/history"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// policies are those of the installation.
const policies = `dyno *: max_length=1000, min_age=1h; wind tunnel: keep=all; car 9: max_length=2000, exact=true`

// filled is what the questions and answers are about.
type filled struct {
	Settings map[string]string
	// Trimmed is a time whose data streamkeeper trimmed from car 9, and Taken one whose
	// data another program did.
	Trimmed, Taken string
	// PauseID ends the pause.
	PauseID string
}

// filling fills a Redis.
type filling struct {
	client *redis.Client
	b      *buffer.Buffer
	env    jobs.Env
	now    time.Time
	seq    int
}

// errNotEmpty keeps a buffer that is in use from being filled.
var errNotEmpty = errors.New("there are keys in this database: the tool wants an empty one")

// fill puts the buffer of the questions into an empty Redis: what others did, by
// their commands; what streamkeeper did, by its own jobs.
func fill(ctx context.Context, client *redis.Client, url string) (filled, error) {
	if n, err := client.DBSize(ctx).Result(); err != nil || n > 0 {
		return filled{}, errors.Join(err, errNotEmpty)
	}
	now, err := client.Time(ctx).Result()
	if err != nil {
		return filled{}, err
	}
	all, err := buffer.ParsePattern("*") // as the program does: what the guard holds is about the same streams
	if err != nil {
		return filled{}, err
	}
	b, err := buffer.Open(ctx, buffer.Options{Connection: redisconn.Connection{URL: url, Timeout: time.Minute}, Include: buffer.Patterns{all}})
	if err != nil {
		return filled{}, err
	}
	defer func() { _ = b.Close() }()
	f := filling{client: client, b: b, now: now}
	if f.env, err = environment(b); err != nil {
		return filled{}, err
	}
	out := filled{
		Settings: map[string]string{
			"STREAMKEEPER_REDIS_URL": url, "STREAMKEEPER_TRIM_POLICIES": policies, "STREAMKEEPER_TRIM_RESPECT_GROUPS": "true",
		},
		Trimmed: now.Add(-150 * time.Minute).UTC().Format("15:04"), Taken: now.Add(-60 * time.Minute).UTC().Format("15:04"),
	}
	steps := []func(context.Context) error{
		f.yesterday, f.ordinary, f.trimmedByBoth, f.oneExpires, f.groupHolds, f.minimumAge, f.overLimit, f.foreign, f.malformed, f.guardHolds,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return filled{}, err
		}
	}
	out.PauseID, err = f.paused(ctx)
	return out, err
}

// environment is what the jobs work with.
func environment(b *buffer.Buffer) (jobs.Env, error) {
	rules, err := trim.ParseRules(policies, trim.Policy{MaxLength: trim.DefaultMaxLength})
	if err != nil {
		return jobs.Env{}, err
	}
	when := jobs.When{Enabled: true}
	o := jobs.Options{
		Trim: jobs.TrimOptions{When: when, Options: sweep.Options{
			Policies: trim.Policies{Default: trim.Policy{MaxLength: trim.DefaultMaxLength}, Rules: rules}, RespectGroups: true,
		}},
		Cleanup: jobs.CleanupOptions{When: when, Options: cleanup.Options{
			Limits: cleanup.Limits{ExpireAfter: cleanup.DefaultExpireAfter, RetireAfter: cleanup.DefaultRetireAfter, GroupIdleAfter: sweep.DefaultGroupIdleAfter},
			Undo:   cleanup.Undo{For: cleanup.DefaultUndoFor, MaxBytes: cleanup.DefaultUndoMaxBytes}, Guard: cleanup.DefaultGuard,
		}},
	}
	return jobs.Env{
		Options: o, Buffer: b, Metrics: jobs.NewMetrics(o, jobs.Process{Once: jobs.All()}), Unwatched: true, Log: slog.New(slog.DiscardHandler),
		History: history.New(b, history.Options{Length: buffer.DefaultHistoryLength, Instance: "streamkeeper-5d9c-x7k2p/1"}),
	}, nil
}

// run does a job once.
func (f *filling) run(ctx context.Context, name string) error {
	job, err := jobs.Named(name)
	if err != nil {
		return err
	}
	_, err = jobs.NewRunner(f.env, job).Run(ctx)
	return err
}

// stream lists a stream and appends entries of a session to it, evenly from one age to another.
func (f *filling) stream(ctx context.Context, name string, id, entries int, from, to time.Duration) error {
	data, err := burst.PackSessionJSON(burst.Frame, []byte(`{"identity":"a session","state":"open"}`))
	if err != nil {
		return err
	}
	pipe := f.client.Pipeline()
	pipe.SAdd(ctx, "streams", name)
	for i := range entries {
		at := f.now.Add(-from + time.Duration(int64(from-to)*int64(i)/int64(entries)))
		f.seq++
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, ID: fmt.Sprintf("%d-%d", at.UnixMilli(), f.seq), Values: []any{"id", id, "data", data}})
		if i%1000 == 999 {
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
	}
	_, err = pipe.Exec(ctx)
	return err
}

// session writes a session, updated some time ago.
func (f *filling) session(ctx context.Context, identity, stream string, id int, ago time.Duration) error {
	f.client.SAdd(ctx, "streams", stream)
	value := fmt.Sprintf(`{"streamSessionId":"%d","streamName":%q,"streamPosition":"0-0","lastUpdated":%d,"json":"{\"identity\":\"%s\",\"state\":\"open\"}"}`,
		id, stream, f.now.Add(-ago).UnixMilli(), identity)
	return f.client.HSet(ctx, "sessions", identity, value).Err()
}

// yesterday is what was done a day ago: the ids of the history are times.
func (f *filling) yesterday(ctx context.Context) error {
	at := f.now.Add(-20 * time.Hour)
	for i, r := range []struct{ action, name, reason string }{
		{"expire", "shakedown 12", "not updated for 24h 3m (limit 24h)"},
		{"retire", "car 12 · shakedown", "no session, last entry 25h ago (limit 24h)"},
	} {
		if err := f.client.XAdd(ctx, &redis.XAddArgs{
			Stream: "streamkeeper:history", ID: fmt.Sprintf("%d-%d", at.UnixMilli(), i),
			Values: []any{"a", r.action, "n", r.name, "r", r.reason, "i", "streamkeeper-5d9c-q8w4z/1"},
		}).Err(); err != nil {
			return err
		}
	}
	return f.client.ZAdd(ctx, "streamkeeper:retired", redis.Z{Score: float64(at.UnixMilli()), Member: "car 12 · shakedown"}).Err()
}

// ordinary are streams with nothing about them.
func (f *filling) ordinary(ctx context.Context) error {
	for n := 1; n <= 25; n++ {
		name := fmt.Sprintf("paddock %d", n)
		if err := errors.Join(f.stream(ctx, name, n, 50, 10*time.Minute, 0), f.session(ctx, fmt.Sprintf("run %d", n), name, n, time.Minute)); err != nil {
			return err
		}
	}
	return f.stream(ctx, "wind tunnel", 90, 15_000, 5*time.Hour, time.Minute)
}

// trimmedByBoth is a stream that streamkeeper has trimmed, and then another program.
func (f *filling) trimmedByBoth(ctx context.Context) error {
	// A first trim notes how much had gone before, so that what goes without us later
	// can be told.
	if err := errors.Join(f.stream(ctx, "car 9", 29, 3000, 180*time.Minute, 0), f.session(ctx, "stint 9", "car 9", 29, time.Minute)); err != nil {
		return err
	}
	if err := f.run(ctx, jobs.Trim); err != nil {
		return err
	}
	return f.client.XTrimMaxLen(ctx, "stream:car 9", 500).Err()
}

// oneExpires is a session that a clean-up has just expired.
func (f *filling) oneExpires(ctx context.Context) error {
	if err := f.session(ctx, "morning run", "paddock 1", 41, 26*time.Hour); err != nil {
		return err
	}
	return f.run(ctx, jobs.Cleanup)
}

// groupHolds is a stream of which a consumer group has read the beginning alone.
func (f *filling) groupHolds(ctx context.Context) error {
	if err := errors.Join(f.stream(ctx, "car 7", 27, 12_000, 2*time.Hour, 0), f.session(ctx, "stint 7", "car 7", 27, time.Minute)); err != nil {
		return err
	}
	if err := f.client.XGroupCreate(ctx, "stream:car 7", "storage", "0").Err(); err != nil {
		return err
	}
	return f.client.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "storage", Consumer: "writer-1", Streams: []string{"stream:car 7", ">"}, Count: 500}).Err()
}

// minimumAge is a stream whose entries are too young to go.
func (f *filling) minimumAge(ctx context.Context) error {
	return errors.Join(f.stream(ctx, "dyno 3", 33, 5000, 20*time.Minute, 0), f.session(ctx, "bench test 3", "dyno 3", 33, time.Minute))
}

// overLimit is a stream that the next trim makes shorter.
func (f *filling) overLimit(ctx context.Context) error {
	return errors.Join(f.stream(ctx, "car 4", 34, 12_500, 4*time.Hour, 0), f.session(ctx, "stint 4", "car 4", 34, time.Minute))
}

// foreign are entries of another program.
func (f *filling) foreign(ctx context.Context) error {
	return f.client.HSet(ctx, "sessions", "web:1f3a", `{"user":"bob","lastSeen":1600000000000}`, "web:77c0", `{"user":"eve","lastSeen":1600000000000}`).Err()
}

// malformed is a session whose time is in seconds.
func (f *filling) malformed(ctx context.Context) error {
	value := fmt.Sprintf(`{"streamSessionId":"77","streamName":"trike 2","streamPosition":"0-0","lastUpdated":%d,"json":"{\"identity\":\"trike\",\"state\":\"open\"}"}`,
		f.now.Add(-72*time.Hour).Unix())
	return errors.Join(f.stream(ctx, "trike 2", 77, 20, 73*time.Hour, 72*time.Hour), f.client.HSet(ctx, "sessions", "trike test", value).Err())
}

// guardHolds are so many stale sessions at once that nothing is removed.
func (f *filling) guardHolds(ctx context.Context) error {
	for n := range 60 {
		if err := f.session(ctx, fmt.Sprintf("test day %d", n), fmt.Sprintf("paddock %d", 1+n%25), 100+n, 30*time.Hour); err != nil {
			return err
		}
	}
	return f.run(ctx, jobs.Cleanup)
}

// paused are streams that somebody has paused.
func (f *filling) paused(ctx context.Context) (id string, err error) {
	if err := errors.Join(f.stream(ctx, "rocket 1", 31, 11_000, 3*time.Hour, 0), f.session(ctx, "launch 1", "rocket 1", 31, time.Minute)); err != nil {
		return "", err
	}
	p, err := f.b.Pause(ctx, buffer.Pause{Pattern: "rocket *", Reason: "launch day, ask Maria"}, 6*time.Hour)
	return p.ID, err
}
