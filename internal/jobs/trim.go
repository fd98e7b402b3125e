package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/history"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/secret"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/schedule"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

// Trim removes the oldest entries of streams.
const Trim = "trim"

// DefaultTrimSchedule is how often the Stream Service's own sweeper runs.
const DefaultTrimSchedule = "@every 30s"

// TrimOptions are those of the job that trims.
type TrimOptions struct {
	When
	sweep.Options
	// PoliciesFile is the file that the rules come from; empty if there is none.
	PoliciesFile string
}

// TrimSettings say what streams may keep.
type TrimSettings struct {
	Enabled        settings.Bool     `split_words:"true"`
	Schedule       settings.Schedule `split_words:"true"`
	MaxLength      settings.Count    `split_words:"true"`
	MaxAge         settings.Duration `split_words:"true"`
	MaxBytes       settings.Size     `split_words:"true"`
	Exact          settings.Bool     `split_words:"true"`
	Policies       settings.Text     `split_words:"true"`
	PoliciesFile   settings.File     `split_words:"true"`
	AllowTiny      settings.Bool     `split_words:"true"`
	MaxStall       settings.Duration `split_words:"true"`
	MinAge         settings.Duration `split_words:"true"`
	Pressure       settings.Share    `split_words:"true"`
	RespectGroups  settings.Bool     `split_words:"true"`
	GroupIdleAfter settings.Duration `split_words:"true"`
}

func (s *TrimSettings) table() settings.Table {
	return settings.Table{
		settings.New("TRIM_ENABLED", &s.Enabled, true, "whether streams are trimmed"),
		settings.New("TRIM_SCHEDULE", &s.Schedule, DefaultTrimSchedule, "when streams are trimmed"),
		settings.New("TRIM_MAX_LENGTH", &s.MaxLength, trim.DefaultMaxLength, "entries to keep in a stream; 0 for no limit",
			settings.NotTiny(&s.MaxLength, trim.MinMaxLength, "few are", "TRIM_ALLOW_TINY", &s.AllowTiny)),
		settings.New("TRIM_MAX_AGE", &s.MaxAge, 0, "age past which entries go; 0 for no limit",
			settings.NotTiny(&s.MaxAge, trim.MinMaxAge, "short is", "TRIM_ALLOW_TINY", &s.AllowTiny), settings.AtMost(&s.MaxAge, settings.Longest)),
		settings.New("TRIM_MAX_BYTES", &s.MaxBytes, 0, "memory that the entries of a stream may take in Redis; 0 for no limit",
			settings.NotTiny(&s.MaxBytes, trim.MinMaxBytes, "little is", "TRIM_ALLOW_TINY", &s.AllowTiny)),
		settings.New("TRIM_EXACT", &s.Exact, false, "keep not one entry more; else up to one macro node more stays"),
		settings.New("TRIM_POLICIES", &s.Policies, "", "limits of streams by name", s.policiesMakeSense),
		settings.New("TRIM_POLICIES_FILE", &s.PoliciesFile, "", "file that holds the limits of streams by name, a rule a line, read again when it changes",
			s.policiesFileMakesSense),
		settings.New("TRIM_ALLOW_TINY", &s.AllowTiny, false, "allow limits so low that they are more likely typos"),
		settings.New("TRIM_MAX_STALL", &s.MaxStall, sweep.DefaultMaxStall, "how long one of our commands may block Redis",
			settings.AtLeast(&s.MaxStall, time.Microsecond), settings.AtMost(&s.MaxStall, time.Second)),
		settings.New("TRIM_MIN_AGE", &s.MinAge, 0, "never remove an entry younger than this", s.minAgeFits, settings.AtMost(&s.MinAge, settings.Longest)),
		settings.New("TRIM_PRESSURE", &s.Pressure, 0, "share of maxmemory above which streams keep less; 0 for off", s.pressureIsBounded),
		settings.New("TRIM_RESPECT_GROUPS", &s.RespectGroups, false, "keep what a consumer group has not read and acknowledged"),
		settings.New("TRIM_GROUP_IDLE_AFTER", &s.GroupIdleAfter, sweep.DefaultGroupIdleAfter, "a group idle for longer no longer protects entries",
			settings.AboveZero(&s.GroupIdleAfter), settings.AtMost(&s.GroupIdleAfter, settings.Longest)),
	}
}

func (s *TrimSettings) minAgeFits() error {
	if limit := s.MaxAge; limit.Fault() == nil && limit.Value > 0 && s.MinAge.Value > limit.Value {
		return fmt.Errorf("longer than TRIM_MAX_AGE; allowed: %s or less", limit)
	}
	return nil
}

func (s *TrimSettings) pressureIsBounded() error {
	if least := s.MinAge; least.Fault() == nil && least.Value == 0 && s.Pressure.Value > 0 {
		return fmt.Errorf("of no use without a bound; allowed: together with %s_TRIM_MIN_AGE above 0", settings.Prefix)
	}
	return nil
}

// MaxPoliciesFile is how many bytes TRIM_POLICIES_FILE may have, beyond what a
// ConfigMap holds.
const MaxPoliciesFile = 4 << 20

// policies are what streams may keep: by the global limits, and by the overrides.
func (s *TrimSettings) policies() (trim.Policies, error) {
	global := trim.Policy{
		MaxLength: s.MaxLength.Value,
		MaxAge:    s.MaxAge.Value,
		MaxBytes:  s.MaxBytes.Value,
		MinAge:    s.MinAge.Value,
		Exact:     s.Exact.Value,
	}
	text := s.Policies.Value
	if s.PoliciesFile.Value != "" {
		content, err := secret.File(s.PoliciesFile.Value, MaxPoliciesFile)
		if err != nil {
			return trim.Policies{Default: global}, err
		}
		text = trim.RulesOfFile(string(content))
	}
	rules, err := trim.ParseRules(text, global)
	return trim.Policies{Default: global, Rules: rules}, err
}

// policiesFileMakesSense judges the overrides in a file as those beside it.
func (s *TrimSettings) policiesFileMakesSense() error {
	switch {
	case s.PoliciesFile.Value == "":
		return nil
	case s.Policies.Origin() != settings.OriginDefault:
		return fmt.Errorf("%s_TRIM_POLICIES is set too; allowed: one of them", settings.Prefix)
	}
	return s.rulesMakeSense()
}

func (s *TrimSettings) policiesMakeSense() error {
	if s.PoliciesFile.Value != "" {
		return nil // that is judged there
	}
	return s.rulesMakeSense()
}

// rulesMakeSense judges the overrides. Where the global limits are at fault,
// what is made of them is not.
func (s *TrimSettings) rulesMakeSense() error {
	tiny := settings.Allowed(&s.AllowTiny)
	policies, err := s.policies()
	if err != nil || policies.Default.Validate(tiny) != nil {
		return err
	}
	var errs []error
	for _, rule := range policies.Rules {
		if err := rule.Policy.Validate(tiny); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", rule.Pattern, err))
		}
	}
	return errors.Join(errs...)
}

func (s *TrimSettings) options() (TrimOptions, error) {
	policies, err := s.policies()
	return TrimOptions{
		When: whenOf(&s.Enabled, &s.Schedule),
		Options: sweep.Options{
			Policies: policies, Pressure: s.Pressure.Value, MaxStall: s.MaxStall.Value,
			RespectGroups: s.RespectGroups.Value, GroupIdleAfter: s.GroupIdleAfter.Value,
		},
		PoliciesFile: s.PoliciesFile.Value,
	}, err
}

func trimJob() Job {
	return Job{
		Name: Trim, Removes: true, byStream: true, when: func(o Options) When { return o.Trim.When },
		use: func(u *buffer.Uses, done bool) { u.Trim = done }, prepare: prepareTrim,
	}
}

func prepareTrim(e Env) run {
	o := e.Options.Trim.Options
	o.Log = e.log(Trim)
	var sums *history.Trims
	if !e.DryRun {
		sums = e.History.Trims()
	}
	o.OnRemoved, o.OnUnknown = e.removed(sums), sums.Unknown
	o.Paused = e.pauses.streams()
	o.OnCall = e.Metrics.TrimCall
	o.OnMalformed = e.Metrics.Malformed
	var started time.Time
	o.OnProgress = func(p sweep.Progress) { e.progress(Trim, TrimProgress(p, time.Since(started))) }
	var lengths *metrics.Lengths
	var left leftover
	o.OnStream = func(l sweep.Learnt) {
		lengths.Add(l.Stream, l.Entries, l.Protected)
		left.add(l.Protected)
	}
	policies := e.policies()
	used := policies.Now()
	o.Policies = *used
	store := trimStore{e.Buffer, sums}
	sweeper := sweep.New(store, o)
	return func(ctx context.Context) (Result, error) {
		if now := policies.Now(); now != used {
			used = now
			sweeper.SetPolicies(*now)
		}
		// A run ends after one period of its schedule, and says what is left.
		sweeper.SetBudget(period(e.Options.Trim.Schedule))
		started, lengths, left = time.Now(), e.Metrics.NewLengths(), leftover{}
		if err := e.refusal(ctx); err != nil {
			return new(TrimResult), err
		}
		e.Metrics.TrimStarted()
		once := sweeper.Run
		if e.DryRun {
			once = func(ctx context.Context) (sweep.Report, error) {
				return sweeper.Plan(ctx, func(c trim.Cut) { left.add(c.Protected) })
			}
		}
		r, err := once(ctx)
		sums.Flush(ctx)
		if err == nil && !e.DryRun {
			lengths.Use()
		}
		result := newTrimResult(r)
		if o.OneTime && err == nil && left.countKept(ctx, e.Buffer, o.Policies) == nil {
			result.left = left.sentence(o.Policies, r.Streams, r.StreamsTrimmed)
		}
		return result, err
	}
}

// removed hears what went, for the sums, the metrics and who listens.
func (e Env) removed(sums *history.Trims) func(sweep.Removed) {
	return func(r sweep.Removed) {
		sums.Add(r.Stream, string(r.Reason), r.Entries, r.Bytes)
		if r.Entries == 0 {
			return
		}
		e.Metrics.TrimRemoved(r.Stream, r.Reason, r.Entries)
		if e.Listener.OnTrimmed != nil {
			e.Listener.OnTrimmed(r.Stream, r.Entries)
		}
	}
}

// period is the time between the next two runs of a schedule that is known to be right.
func period(spec string) time.Duration {
	s, err := schedule.ParseSchedule(spec)
	if err != nil {
		return 0
	}
	first := s.Next(time.Now().UTC())
	return s.Next(first).Sub(first)
}

// TrimProgress says how far a trim is that began so long ago.
func TrimProgress(p sweep.Progress, took time.Duration) string {
	rate := int64(float64(p.Entries) / max(took.Seconds(), 0.001))
	text := fmt.Sprintf("%s, %s removed, %s/s", plural(p.Streams, "stream"), plural(p.Entries, "entry"), human.Count(rate))
	if p.Waiting > 0 {
		text += fmt.Sprintf(", %s with a backlog", human.Count(p.Waiting))
	}
	return text
}

// TrimResult is what trimming did.
type TrimResult struct {
	Head
	Streams        int64 `json:"streams"`
	StreamsTrimmed int64 `json:"streams_trimmed"`
	EntriesRemoved int64 `json:"entries_removed"`
	// BytesRemoved is about what these entries took in memory.
	BytesRemoved int64 `json:"bytes_removed"`
	Errors       int64 `json:"errors"`
	// Backlog is how many entries over their limits are left to a later run; an
	// estimate where an age limits them.
	Backlog int64 `json:"backlog"`
	// Pressure says that streams keep less for want of memory; empty if not.
	Pressure string `json:"pressure"`

	// backlogs are the streams that are left to the next run.
	backlogs int64
	// left says why no more went in a run for some streams; empty for any other.
	left string
}

func newTrimResult(r sweep.Report) *TrimResult {
	return &TrimResult{
		Streams: r.Streams, StreamsTrimmed: r.StreamsTrimmed, EntriesRemoved: r.EntriesRemoved, BytesRemoved: r.BytesRemoved,
		Errors: r.Errors, Backlog: r.Backlog, Pressure: r.Pressure, backlogs: int64(r.Left),
	}
}

// Sentence implements [Result].
func (r *TrimResult) Sentence(dryRun bool) string {
	verb := "trimmed"
	if dryRun {
		verb = "to trim"
	}
	text := fmt.Sprintf("%s of %s %s, %s", human.Count(r.StreamsTrimmed), plural(r.Streams, "stream"), verb, plural(r.EntriesRemoved, "entry"))
	if r.BytesRemoved > 0 {
		text += " (~" + human.Bytes(r.BytesRemoved) + ")"
	}
	if r.backlogs > 0 {
		text += fmt.Sprintf(", %s with a backlog", human.Count(r.backlogs))
	}
	return text + failures(r.Errors)
}

// Remark implements [Result].
func (r *TrimResult) Remark() string { return cmp.Or(r.Pressure, r.left) }

// Found implements [Result].
func (r *TrimResult) Found() int64 { return r.Streams }

// Failed implements [Result].
func (r *TrimResult) Failed() int64 { return r.Errors }

// LogTo implements [Result].
func (r *TrimResult) LogTo(log *slog.Logger, dryRun bool) {
	figures := []any{
		"streams", r.Streams, "streams_trimmed", r.StreamsTrimmed, "entries_removed", r.EntriesRemoved, "bytes_removed", r.BytesRemoved,
		"errors", r.Errors, "backlogs", r.backlogs, "backlog", r.Backlog, "duration", r.took(),
	}
	switch {
	case r.logIncomplete(log, figures):
	case dryRun:
		log.Info("would trim", figures...)
	default:
		log.Info("trimmed", figures...)
	}
}
