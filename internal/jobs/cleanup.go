package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

// Cleanup expires sessions and retires streams.
const Cleanup = "cleanup"

// DefaultCleanupSchedule is rare, because a run may scan the whole keyspace.
const DefaultCleanupSchedule = "@every 5m"

// CleanupOptions are those of the job that cleans up.
type CleanupOptions struct {
	When
	cleanup.Options
}

// CleanupSettings say when sessions and streams are taken for dead, and how many
// may go in one run.
type CleanupSettings struct {
	Enabled      settings.Bool     `split_words:"true"`
	Schedule     settings.Schedule `split_words:"true"`
	ExpireAfter  settings.Duration `split_words:"true"`
	AbandonAfter settings.Duration `split_words:"true"`
	RetireAfter  settings.Duration `split_words:"true"`
	AllowTiny    settings.Bool     `split_words:"true"`
	Flowing      settings.Bool     `split_words:"true"`
	UndoFor      settings.Duration `split_words:"true"`
	UndoMaxBytes settings.Size     `split_words:"true"`
	Brake        settings.Share    `split_words:"true"`
	BrakeMin     settings.Count    `split_words:"true"`
	BrakeHold    settings.Duration `split_words:"true"`
	Scan         settings.Bool     `split_words:"true"`
}

func (s *CleanupSettings) table() settings.Table {
	return settings.Table{
		settings.New("CLEANUP_ENABLED", &s.Enabled, true, "whether sessions expire and streams retire"),
		settings.New("CLEANUP_SCHEDULE", &s.Schedule, DefaultCleanupSchedule, "when they do"),
		settings.New("CLEANUP_EXPIRE_AFTER", &s.ExpireAfter, cleanup.DefaultExpireAfter, "a session not updated for this long is removed",
			settings.AboveZero(&s.ExpireAfter), settings.LongEnough(&s.ExpireAfter, cleanup.MinLimit, "CLEANUP_ALLOW_TINY", &s.AllowTiny),
			settings.AtMost(&s.ExpireAfter, settings.Longest)),
		settings.New("CLEANUP_ABANDON_AFTER", &s.AbandonAfter, 0, "an open session not updated for this long is marked abandoned; 0 for off",
			s.abandonPrecedesExpiry, settings.NotTiny(&s.AbandonAfter, cleanup.MinAbandonAfter, "short is", "CLEANUP_ALLOW_TINY", &s.AllowTiny),
			settings.AtMost(&s.AbandonAfter, settings.Longest)),
		settings.New("CLEANUP_RETIRE_AFTER", &s.RetireAfter, cleanup.DefaultRetireAfter, "a stream with no session and no entry for this long is removed",
			settings.AboveZero(&s.RetireAfter), settings.LongEnough(&s.RetireAfter, cleanup.MinLimit, "CLEANUP_ALLOW_TINY", &s.AllowTiny),
			settings.AtMost(&s.RetireAfter, settings.Longest)),
		settings.New("CLEANUP_ALLOW_TINY", &s.AllowTiny, false, "allow limits so short that they are more likely typos"),
		settings.New("CLEANUP_FLOWING", &s.Flowing, true, "keep sessions whose messages arrive, whatever their time says"),
		settings.New("CLEANUP_UNDO_FOR", &s.UndoFor, cleanup.DefaultUndoFor, "how long expired sessions can be put back; 0 for off",
			settings.AtMost(&s.UndoFor, settings.Longest)),
		settings.New("CLEANUP_UNDO_MAX_BYTES", &s.UndoMaxBytes, cleanup.DefaultUndoMaxBytes, "what their copies may take in Redis; the oldest go first",
			settings.AtMost(&s.UndoMaxBytes, 1<<40)),
		settings.New("CLEANUP_BRAKE", &s.Brake, cleanup.DefaultGuard.Share, "the largest share of all sessions, or streams, that one run may remove; 1 for off",
			settings.AboveZero(&s.Brake)),
		settings.New("CLEANUP_BRAKE_MIN", &s.BrakeMin, cleanup.DefaultGuard.Min, "so many may go in one run, whatever the share"),
		settings.New("CLEANUP_BRAKE_HOLD", &s.BrakeHold, cleanup.DefaultGuard.Hold, "the guard releases once the same decision has stood for so long; 0 for never",
			settings.AtMost(&s.BrakeHold, settings.Longest)),
		settings.New("CLEANUP_SCAN", &s.Scan, false, "also look for streams that the set of names does not list"),
	}
}

func (s *CleanupSettings) abandonPrecedesExpiry() error {
	after := s.AbandonAfter.Value
	if limit := s.ExpireAfter; limit.Fault() == nil && after > 0 && after >= limit.Value {
		return fmt.Errorf("not shorter than CLEANUP_EXPIRE_AFTER; allowed: less than %s, or 0 for off", limit)
	}
	return nil
}

func (s *CleanupSettings) options(encoding burst.Encoding, groupIdleAfter time.Duration) CleanupOptions {
	return CleanupOptions{
		When: whenOf(&s.Enabled, &s.Schedule),
		Options: cleanup.Options{
			Limits: cleanup.Limits{
				ExpireAfter: s.ExpireAfter.Value, AbandonAfter: s.AbandonAfter.Value, RetireAfter: s.RetireAfter.Value,
				GroupIdleAfter: groupIdleAfter,
			},
			TimeAlone: !s.Flowing.Value,
			Undo:      cleanup.Undo{For: s.UndoFor.Value, MaxBytes: s.UndoMaxBytes.Value},
			Guard:     cleanup.Guard{Share: s.Brake.Value, Min: s.BrakeMin.Value, Hold: s.BrakeHold.Value},
			Scan:      s.Scan.Value,
			Encoding:  encoding,
		},
	}
}

func cleanupJob() Job {
	return Job{
		Name: Cleanup, Removes: true, when: func(o Options) When { return o.Cleanup.When },
		use: func(u *buffer.Uses, done bool) { u.Cleanup = done }, prepare: prepareCleanup,
	}
}

// examples are how many actions of a dry run are kept.
const examples = 10

func prepareCleanup(e Env) run {
	o := e.Options.Cleanup.Options
	o.Log = e.log(Cleanup)
	var hears CleanupListener = nobody{}
	o.OnAction = func(a cleanup.Action) {
		e.Metrics.CleanedUp(a)
		e.record(a)
		if e.Listener.OnCleanedUp != nil {
			e.Listener.OnCleanedUp(a)
		}
		hears.Acted(a)
	}
	o.OnUnknown = func(err error) { e.History.Unknown(1, err) }
	if e.Listener.Cleanup != nil {
		hears = e.Listener.Cleanup
		o.OnScan, o.OnSession, o.OnStream = hears.Begin, hears.Session, hears.Stream
	}
	o.OnMalformed = e.Metrics.Malformed
	o.Paused = e.pauses.streams()
	cleaner := cleanup.New(cleanupStore{e.Buffer, e.History}, o)
	return func(ctx context.Context) (Result, error) {
		result := new(CleanupResult)
		if err := e.refusal(ctx); err != nil {
			return result, err
		}
		once := cleaner.Run
		if e.DryRun {
			once = func(ctx context.Context) (cleanup.Report, error) {
				return cleaner.Plan(ctx, func(a cleanup.Action) {
					if len(result.Examples) < examples {
						result.Examples = append(result.Examples, a)
					}
				})
			}
		}
		r, err := once(ctx)
		hears.End(err)
		e.History.Flush(ctx)
		result.take(r, e.DryRun)
		if err == nil || r.Guard != "" { // what broke off before the guard was asked says nothing of it
			e.Metrics.Brake(Cleanup, r.Guard != "", r.GuardUntil)
		}
		if err == nil {
			e.Metrics.RegistryLost(r.Lost != "")
			e.Metrics.SessionsRestored(r.SessionsPutBack)
			e.Metrics.Sessions(cleanup.Live, r.SessionsLive)
			e.Metrics.Sessions(cleanup.Stale, result.Stale)
			e.Metrics.Sessions(cleanup.Malformed, r.SessionsMalformed)
			e.Metrics.Sessions(cleanup.Foreign, r.SessionsForeign)
			e.Metrics.Sessions(cleanup.Flowing, r.SessionsFlowing)
		}
		return result, err
	}
}

// nobody hears of a clean-up.
type nobody struct{}

func (nobody) Begin()                                                  {}
func (nobody) Session(*registry.Session, cleanup.State, string)        {}
func (nobody) Stream(cleanup.StreamFacts, cleanup.StreamState, string) {}
func (nobody) Acted(cleanup.Action)                                    {}
func (nobody) End(error)                                               {}

// record takes a removal into the history, and that a name is listed again. What
// is marked as abandoned stays.
func (e Env) record(a cleanup.Action) {
	switch a.Kind {
	case cleanup.Abandon:
	case cleanup.Expire:
		e.History.Add(string(a.Kind), a.Session, a.Reason)
	default:
		e.History.Add(string(a.Kind), a.Stream, a.Reason)
	}
}

// CleanupResult is what clean-up did.
type CleanupResult struct {
	Head
	Sessions          int64  `json:"sessions"`
	SessionsExpired   int64  `json:"sessions_expired"`
	SessionsAbandoned int64  `json:"sessions_abandoned"`
	SessionsMalformed int64  `json:"sessions_malformed"`
	SessionsForeign   int64  `json:"sessions_foreign"`
	SessionsFlowing   int64  `json:"sessions_flowing"`
	Streams           int64  `json:"streams"`
	StreamsRetired    int64  `json:"streams_retired"`
	StreamsRestored   int64  `json:"streams_restored"`
	NamesDropped      int64  `json:"names_dropped"`
	Errors            int64  `json:"errors"`
	Brake             string `json:"brake"`

	// Live and Stale sessions are left.
	Live  int64 `json:"-"`
	Stale int64 `json:"-"`
	// BrakeSince and BrakeUntil are since when and until when the guard holds
	// removals back; zero if it does not, and until for ever.
	BrakeSince time.Time `json:"-"`
	BrakeUntil time.Time `json:"-"`
	// Lost says that the set of stream names is empty although nobody cleaned it
	// up.
	Lost string `json:"-"`
	// Held is what the guard held back, nil if it did not trip.
	Held *cleanup.Held `json:"-"`
	// Examples are the first actions that are still to be carried out.
	Examples []cleanup.Action `json:"-"`
}

func (c *CleanupResult) take(r cleanup.Report, dryRun bool) {
	c.Sessions, c.SessionsExpired, c.SessionsAbandoned = r.Sessions, r.SessionsExpired, r.SessionsAbandoned
	c.SessionsMalformed, c.SessionsForeign, c.Streams, c.StreamsRetired = r.SessionsMalformed, r.SessionsForeign, r.Streams, r.StreamsRetired
	c.StreamsRestored, c.NamesDropped, c.Errors, c.Brake = r.StreamsRestored, r.NamesDropped, r.Errors, r.Guard
	c.Live, c.Stale, c.Held = r.SessionsLive, r.SessionsStale+r.SessionsPostponed, r.Held
	c.SessionsFlowing, c.BrakeSince, c.BrakeUntil, c.Lost = r.SessionsFlowing, r.GuardSince, r.GuardUntil, r.Lost
	if !dryRun {
		c.Stale -= r.SessionsExpired
	}
	if r.Held != nil {
		c.Examples = r.Held.Examples
	}
}

// Sentence implements [Result].
func (c *CleanupResult) Sentence(dryRun bool) string {
	if c.Brake != "" {
		verb := "stopped by the mass-deletion guard: "
		if dryRun {
			verb = "the mass-deletion guard would stop it: "
		}
		return verb + c.Brake + cleanup.ReleaseText(c.BrakeUntil)
	}
	to := ""
	if dryRun {
		to = "to be "
	}
	parts := []string{
		fmt.Sprintf("%s of %s %sexpired", human.Count(c.SessionsExpired), plural(c.Sessions, "session"), to),
		fmt.Sprintf("%s of %s %sretired", human.Count(c.StreamsRetired), plural(c.Streams, "stream"), to),
	}
	for _, more := range []struct {
		n    int64
		text string
	}{
		{c.SessionsAbandoned, to + "abandoned"},
		{c.StreamsRestored, to + "restored"},
		{c.NamesDropped, "names " + to + "dropped"},
		{c.SessionsMalformed, "malformed"},
		{c.SessionsFlowing, "not updated while messages arrive"},
	} {
		if more.n > 0 {
			parts = append(parts, human.Count(more.n)+" "+more.text)
		}
	}
	return strings.Join(parts, ", ") + failures(c.Errors)
}

// Remark implements [Result].
func (c *CleanupResult) Remark() string { return c.Lost }

// Found implements [Result].
func (c *CleanupResult) Found() int64 {
	return c.Streams + c.Sessions + c.SessionsForeign + c.SessionsMalformed
}

// Failed implements [Result].
func (c *CleanupResult) Failed() int64 { return c.Errors }

// Stopped implements [Result].
func (c *CleanupResult) Stopped() string { return c.Brake }

// LogTo implements [Result].
func (c *CleanupResult) LogTo(log *slog.Logger, dryRun bool) {
	figures := []any{
		"sessions", c.Sessions, "sessions_expired", c.SessionsExpired, "sessions_abandoned", c.SessionsAbandoned,
		"sessions_malformed", c.SessionsMalformed, "sessions_foreign", c.SessionsForeign, "sessions_flowing", c.SessionsFlowing,
		"streams", c.Streams, "streams_retired", c.StreamsRetired, "streams_restored", c.StreamsRestored,
		"names_dropped", c.NamesDropped, "errors", c.Errors, "brake", c.Brake, "duration", c.took(),
	}
	switch {
	case c.logIncomplete(log, figures):
	case dryRun:
		log.Info("would clean up", figures...)
	default:
		log.Info("cleaned up", figures...)
	}
}
