package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Config is every setting. The fields' names make the variables' names:
// Trim.MaxAge is read from STREAMKEEPER_TRIM_MAX_AGE. There are no name tags,
// because envconfig would then read the variable without the prefix too. What a
// setting is for, its default and its limits stand in [Config.table].
type Config struct {
	Redis           RedisConfig       `split_words:"true"`
	StreamsKey      settings.Text     `split_words:"true"`
	StreamPrefix    settings.Text     `split_words:"true"`
	SessionsKey     settings.Text     `split_words:"true"`
	SessionsLayout  settings.Layouts  `split_words:"true"`
	SessionsForeign settings.Foreign  `split_words:"true"`
	StreamsInclude  settings.Patterns `split_words:"true"`
	StreamsExclude  settings.Patterns `split_words:"true"`
	StatePrefix     settings.Text     `split_words:"true"`
	Trim            TrimConfig        `split_words:"true"`
	Cleanup         CleanupConfig     `split_words:"true"`
	Inspect         InspectConfig     `split_words:"true"`
	MetricsInterval settings.Duration `split_words:"true"`
	Listen          settings.Listen   `split_words:"true"`
	MetricsStreams  settings.Count    `split_words:"true"`
	Lease           LeaseConfig       `split_words:"true"`
	Log             LogConfig         `split_words:"true"`
	ShutdownGrace   settings.Duration `split_words:"true"`
}

// RedisConfig says how to reach Redis.
type RedisConfig struct {
	URL          settings.RedisURL `split_words:"true"`
	Username     settings.Text     `split_words:"true"`
	Password     settings.Secret   `split_words:"true"`
	PasswordFile settings.File     `split_words:"true"`
	Sentinel     SentinelConfig    `split_words:"true"`
	Timeout      settings.Duration `split_words:"true"`
	TLS          TLSConfig         `split_words:"true"`
}

// SentinelConfig holds the credentials for the Sentinels themselves.
type SentinelConfig struct {
	Username     settings.Text   `split_words:"true"`
	Password     settings.Secret `split_words:"true"`
	PasswordFile settings.File   `split_words:"true"`
}

// TLSConfig names PEM files, and the name to expect in the server's certificate.
type TLSConfig struct {
	CAFile     settings.File `split_words:"true"`
	CertFile   settings.File `split_words:"true"`
	KeyFile    settings.File `split_words:"true"`
	ServerName settings.Text `split_words:"true"`
}

// TrimConfig says what streams may keep.
type TrimConfig struct {
	Enabled        settings.Bool     `split_words:"true"`
	Schedule       settings.Schedule `split_words:"true"`
	MaxLength      settings.Count    `split_words:"true"`
	MaxAge         settings.Duration `split_words:"true"`
	Exact          settings.Bool     `split_words:"true"`
	Policies       settings.Text     `split_words:"true"`
	AllowTiny      settings.Bool     `split_words:"true"`
	MaxStall       settings.Duration `split_words:"true"`
	MinAge         settings.Duration `split_words:"true"`
	Pressure       settings.Share    `split_words:"true"`
	RespectGroups  settings.Bool     `split_words:"true"`
	GroupIdleAfter settings.Duration `split_words:"true"`
}

// CleanupConfig says when sessions and streams are taken for dead, and how many
// may go in one run.
type CleanupConfig struct {
	Enabled      settings.Bool     `split_words:"true"`
	Schedule     settings.Schedule `split_words:"true"`
	ExpireAfter  settings.Duration `split_words:"true"`
	AbandonAfter settings.Duration `split_words:"true"`
	RetireAfter  settings.Duration `split_words:"true"`
	AllowTiny    settings.Bool     `split_words:"true"`
	Flowing      settings.Bool     `split_words:"true"`
	Brake        settings.Share    `split_words:"true"`
	BrakeMin     settings.Count    `split_words:"true"`
	BrakeHold    settings.Duration `split_words:"true"`
	Scan         settings.Bool     `split_words:"true"`
}

// InspectConfig says how many messages are looked at, and how.
type InspectConfig struct {
	Enabled  settings.Bool     `split_words:"true"`
	Schedule settings.Schedule `split_words:"true"`
	Samples  settings.Count    `split_words:"true"`
	MaxBytes settings.Size     `split_words:"true"`
	Encoding settings.Encoding `split_words:"true"`
	MaxBurst settings.Size     `split_words:"true"`
}

// LeaseConfig is about the lease that lets one of several replicas work.
type LeaseConfig struct {
	Enabled settings.Bool     `split_words:"true"`
	TTL     settings.Duration `split_words:"true"`
}

// LogConfig says how much is logged, and in which form.
type LogConfig struct {
	Level  settings.Level     `split_words:"true"`
	Format settings.LogFormat `split_words:"true"`
}

// Defaults that belong to no room.
const (
	// defaultRedisURL is the server of a developer's own machine.
	defaultRedisURL = "redis://localhost:6379/0"
	// defaultListen is the port of the status page and the metrics.
	defaultListen = ":8080"
	// defaultShutdownGrace fits into the 30 s that Kubernetes gives.
	defaultShutdownGrace = 20 * time.Second
)

// table lists every setting in the order of the documentation: its name, its
// default, what it is for, and what has to hold beyond its syntax.
func (c *Config) table() settings.Table {
	return slices.Concat(c.redisTable(), c.bufferTable(), c.trimTable(), c.cleanupTable(), c.inspectTable(), c.daemonTable())
}

func (c *Config) redisTable() settings.Table {
	r, sentinel, tls := &c.Redis, &c.Redis.Sentinel, &c.Redis.TLS
	return settings.Table{
		settings.New("REDIS_URL", &r.URL, defaultRedisURL, "where Redis is"),
		settings.New("REDIS_USERNAME", &r.Username, "", "user of the data servers, instead of the URL's"),
		settings.New("REDIS_PASSWORD", &r.Password, "", "password, instead of the URL's"),
		settings.New("REDIS_PASSWORD_FILE", &r.PasswordFile, "", "file that holds the password, read again at each new connection",
			settings.OnlyOne("REDIS_PASSWORD", &r.Password, &r.PasswordFile)),
		settings.New("REDIS_SENTINEL_USERNAME", &sentinel.Username, "", "user of the Sentinels themselves"),
		settings.New("REDIS_SENTINEL_PASSWORD", &sentinel.Password, "", "password of the Sentinels themselves"),
		settings.New("REDIS_SENTINEL_PASSWORD_FILE", &sentinel.PasswordFile, "", "file that holds the Sentinels' password",
			settings.OnlyOne("REDIS_SENTINEL_PASSWORD", &sentinel.Password, &sentinel.PasswordFile)),
		settings.New("REDIS_TIMEOUT", &r.Timeout, redisconn.DefaultTimeout, "how long dialling or one command may take",
			settings.AtLeast(&r.Timeout, time.Millisecond), settings.AtMost(&r.Timeout, 10*time.Minute)),
		settings.New("REDIS_TLS_CA_FILE", &tls.CAFile, "", "PEM file of the authorities to trust, instead of the system's"),
		settings.New("REDIS_TLS_CERT_FILE", &tls.CertFile, "", "PEM file of our certificate, for mutual TLS",
			settings.Needs("REDIS_TLS_KEY_FILE", &tls.KeyFile, &tls.CertFile)),
		settings.New("REDIS_TLS_KEY_FILE", &tls.KeyFile, "", "PEM file of our private key",
			settings.Needs("REDIS_TLS_CERT_FILE", &tls.CertFile, &tls.KeyFile)),
		settings.New("REDIS_TLS_SERVER_NAME", &tls.ServerName, "", "name to expect in the server's certificate, if not the host's"),
	}
}

func (c *Config) bufferTable() settings.Table {
	names := buffer.DefaultNames
	apart := func(name string) settings.Check { return settings.Apart(name, c.keySpaces) }
	return settings.Table{
		settings.New("STREAMS_KEY", &c.StreamsKey, names.Streams, "the Set of the streams' names", apart("STREAMS_KEY")),
		settings.New("STREAM_PREFIX", &c.StreamPrefix, names.StreamPrefix, "what stands before a stream's name in its key", apart("STREAM_PREFIX")),
		settings.New("SESSIONS_KEY", &c.SessionsKey, names.Sessions, "the Hash of sessions, and the prefix of a key for each", apart("SESSIONS_KEY")),
		settings.New("SESSIONS_LAYOUT", &c.SessionsLayout, []string{settings.Auto}, "how sessions lie in Redis"),
		settings.New("SESSIONS_FOREIGN", &c.SessionsForeign, settings.Keep, "whether entries that no RTA field marks stay (keep), or are judged by their time (expire)"),
		settings.New("STREAMS_INCLUDE", &c.StreamsInclude, settings.Everything(), "patterns of the streams to look after"),
		settings.New("STREAMS_EXCLUDE", &c.StreamsExclude, nil, "patterns of the streams that are neither read nor changed"),
		settings.New("STATE_PREFIX", &c.StatePrefix, names.StatePrefix, "where streamkeeper keeps its own few keys", apart("STATE_PREFIX")),
	}
}

func (c *Config) trimTable() settings.Table {
	t := &c.Trim
	return settings.Table{
		settings.New("TRIM_ENABLED", &t.Enabled, true, "whether streams are trimmed"),
		settings.New("TRIM_SCHEDULE", &t.Schedule, jobs.DefaultTrimSchedule, "when streams are trimmed"),
		settings.New("TRIM_MAX_LENGTH", &t.MaxLength, trim.DefaultMaxLength, "entries to keep in a stream; 0 for no limit",
			settings.NotTiny(&t.MaxLength, trim.MinLength, "few are", "TRIM_ALLOW_TINY", &t.AllowTiny)),
		settings.New("TRIM_MAX_AGE", &t.MaxAge, 0, "age past which entries go; 0 for no limit",
			settings.NotTiny(&t.MaxAge, trim.MinMaxAge, "short is", "TRIM_ALLOW_TINY", &t.AllowTiny)),
		settings.New("TRIM_EXACT", &t.Exact, false, "keep not one entry more; else up to one macro node more stays"),
		settings.New("TRIM_POLICIES", &t.Policies, "", "limits of streams by name", c.policiesMakeSense),
		settings.New("TRIM_ALLOW_TINY", &t.AllowTiny, false, "allow limits so low that they are more likely typos"),
		settings.New("TRIM_MAX_STALL", &t.MaxStall, trim.DefaultMaxStall, "how long one of our commands may block Redis",
			settings.AtLeast(&t.MaxStall, time.Microsecond), settings.AtMost(&t.MaxStall, time.Second)),
		settings.New("TRIM_MIN_AGE", &t.MinAge, 0, "never remove an entry younger than this", c.minAgeFits),
		settings.New("TRIM_PRESSURE", &t.Pressure, 0, "share of maxmemory above which streams keep less; 0 for off", c.pressureIsBounded),
		settings.New("TRIM_RESPECT_GROUPS", &t.RespectGroups, false, "keep what a consumer group has not read and acknowledged"),
		settings.New("TRIM_GROUP_IDLE_AFTER", &t.GroupIdleAfter, trim.DefaultGroupIdleAfter, "a group idle for longer no longer protects entries",
			settings.AboveZero(&t.GroupIdleAfter)),
	}
}

func (c *Config) cleanupTable() settings.Table {
	u := &c.Cleanup
	return settings.Table{
		settings.New("CLEANUP_ENABLED", &u.Enabled, true, "whether sessions expire and streams retire"),
		settings.New("CLEANUP_SCHEDULE", &u.Schedule, jobs.DefaultCleanupSchedule, "when they do"),
		settings.New("CLEANUP_EXPIRE_AFTER", &u.ExpireAfter, cleanup.DefaultExpireAfter, "a session not updated for this long is removed",
			settings.AboveZero(&u.ExpireAfter), settings.LongEnough(&u.ExpireAfter, cleanup.MinLimit, "CLEANUP_ALLOW_TINY", &u.AllowTiny)),
		settings.New("CLEANUP_ABANDON_AFTER", &u.AbandonAfter, 0, "an open session not updated for this long is marked abandoned; 0 for off",
			c.abandonPrecedesExpiry, settings.NotTiny(&u.AbandonAfter, cleanup.MinAbandonAfter, "short is", "CLEANUP_ALLOW_TINY", &u.AllowTiny)),
		settings.New("CLEANUP_RETIRE_AFTER", &u.RetireAfter, cleanup.DefaultRetireAfter, "a stream with no session and no entry for this long is removed",
			settings.AboveZero(&u.RetireAfter), settings.LongEnough(&u.RetireAfter, cleanup.MinLimit, "CLEANUP_ALLOW_TINY", &u.AllowTiny)),
		settings.New("CLEANUP_ALLOW_TINY", &u.AllowTiny, false, "allow limits so short that they are more likely typos"),
		settings.New("CLEANUP_FLOWING", &u.Flowing, true, "keep sessions whose messages arrive, whatever their time says"),
		settings.New("CLEANUP_BRAKE", &u.Brake, cleanup.DefaultBrake.Share, "the largest share of all sessions, or streams, that one run may remove; 1 for off",
			settings.AboveZero(&u.Brake)),
		settings.New("CLEANUP_BRAKE_MIN", &u.BrakeMin, cleanup.DefaultBrake.Min, "so many may go in one run, whatever the share"),
		settings.New("CLEANUP_BRAKE_HOLD", &u.BrakeHold, cleanup.DefaultBrake.Hold, "the guard releases once the same decision has stood for so long; 0 for never"),
		settings.New("CLEANUP_SCAN", &u.Scan, false, "also look for streams that the set of names does not list"),
	}
}

func (c *Config) inspectTable() settings.Table {
	i := &c.Inspect
	return settings.Table{
		settings.New("INSPECT_ENABLED", &i.Enabled, true, "whether messages are inspected"),
		settings.New("INSPECT_SCHEDULE", &i.Schedule, jobs.DefaultInspectSchedule, "when messages are inspected"),
		settings.New("INSPECT_SAMPLES", &i.Samples, inspect.DefaultSamples, "messages a stream a run", settings.AboveZero(&i.Samples)),
		settings.New("INSPECT_MAX_BYTES", &i.MaxBytes, inspect.DefaultMaxBytes, "the most that one run reads", settings.AboveZero(&i.MaxBytes)),
		settings.New("INSPECT_ENCODING", &i.Encoding, settings.Auto, "pins how the LZ4 bytes are framed"),
		settings.New("INSPECT_MAX_BURST", &i.MaxBurst, burst.DefaultMaxBurst, "uncompressed size past which a message is invalid",
			settings.AboveZero(&i.MaxBurst), settings.AtMost(&i.MaxBurst, 1<<30)),
	}
}

func (c *Config) daemonTable() settings.Table {
	return settings.Table{
		settings.New("METRICS_INTERVAL", &c.MetricsInterval, jobs.DefaultMetricsInterval, "how often the figures of streams are read",
			settings.AtLeast(&c.MetricsInterval, time.Second)),
		settings.New("LISTEN", &c.Listen, defaultListen, "HTTP address; empty for none"),
		settings.New("METRICS_STREAMS", &c.MetricsStreams, metrics.DefaultMaxStreams, "at most so many streams get a label of their own"),
		settings.New("LEASE_ENABLED", &c.Lease.Enabled, true, "let one of several replicas work"),
		settings.New("LEASE_TTL", &c.Lease.TTL, cli.DefaultLeaseTTL, "another replica takes over after about so long",
			settings.AtLeast(&c.Lease.TTL, 100*time.Millisecond)),
		settings.New("LOG_LEVEL", &c.Log.Level, slog.LevelInfo, "the least severe level that is logged"),
		settings.New("LOG_FORMAT", &c.Log.Format, settings.Auto, "text, json, or auto: text on a terminal"),
		settings.New("SHUTDOWN_GRACE", &c.ShutdownGrace, defaultShutdownGrace, "how long a run may go on after SIGTERM",
			settings.AboveZero(&c.ShutdownGrace)),
	}
}

// keySpaces are whose keys are where, in the order in which they are judged.
func (c *Config) keySpaces() []settings.KeySpace {
	return []settings.KeySpace{
		{Owner: "the producers' counter", Text: "lastStreamSessionId"},
		{Owner: "STREAMS_KEY", Text: c.StreamsKey.Value},
		{Owner: "STREAM_PREFIX", Text: c.StreamPrefix.Value, Prefix: true},
		{Owner: "SESSIONS_KEY", Text: c.SessionsKey.Value},
		{Owner: "SESSIONS_KEY", Text: c.SessionsKey.Value + ":", Prefix: true},
		{Owner: "STATE_PREFIX", Text: c.StatePrefix.Value, Prefix: true},
	}
}

func (c *Config) minAgeFits() error {
	if limit := c.Trim.MaxAge; limit.Fault() == nil && limit.Value > 0 && c.Trim.MinAge.Value > limit.Value {
		return fmt.Errorf("longer than TRIM_MAX_AGE; allowed: %s or less", limit)
	}
	return nil
}

func (c *Config) pressureIsBounded() error {
	if least := c.Trim.MinAge; least.Fault() == nil && least.Value == 0 && c.Trim.Pressure.Value > 0 {
		return fmt.Errorf("of no use without a bound; allowed: together with %s_TRIM_MIN_AGE above 0", settings.Prefix)
	}
	return nil
}

func (c *Config) abandonPrecedesExpiry() error {
	after := c.Cleanup.AbandonAfter.Value
	if limit := c.Cleanup.ExpireAfter; limit.Fault() == nil && after > 0 && after >= limit.Value {
		return fmt.Errorf("not shorter than CLEANUP_EXPIRE_AFTER; allowed: less than %s, or 0 for off", limit)
	}
	return nil
}

// policies are what streams may keep: by the global limits, and by the overrides.
func (c *Config) policies() (trim.Policies, error) {
	global := trim.Policy{
		MaxLength: c.Trim.MaxLength.Value,
		MaxAge:    c.Trim.MaxAge.Value,
		MinAge:    c.Trim.MinAge.Value,
		Exact:     c.Trim.Exact.Value,
	}
	rules, err := trim.ParseRules(c.Trim.Policies.Value, global)
	return trim.Policies{Default: global, Rules: rules}, err
}

// policiesMakeSense judges the overrides. Where the global limits are at fault,
// what is made of them is not.
func (c *Config) policiesMakeSense() error {
	tiny := settings.Allowed(&c.Trim.AllowTiny)
	policies, err := c.policies()
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

// load reads the settings from the environment, lets the overrides replace
// them, and fills what is still unset from the Stream Service's own variables.
// Faults are reported all at once, as [settings.ConfigErrors].
func load(overrides ...settings.Override) (cli.Options, error) {
	c, err := loadConfig(overrides...)
	if err != nil {
		return cli.Options{}, err
	}
	return c.options()
}

func loadConfig(overrides ...settings.Override) (*Config, error) {
	c := new(Config)
	table := c.table()
	table.Reset()
	if err := envconfig.Process(settings.Prefix, c); err != nil {
		return c, fmt.Errorf("reading the environment: %w", err)
	}
	for _, o := range overrides {
		if err := table.Set(o); err != nil {
			return c, err
		}
	}
	environ := os.Environ()
	fromRTA := settings.StreamService{
		RedisURL: &c.Redis.URL, TLSServerName: &c.Redis.TLS.ServerName,
		TrimEnabled: &c.Trim.Enabled, TrimSchedule: &c.Trim.Schedule, TrimMaxLength: &c.Trim.MaxLength, TrimExact: &c.Trim.Exact,
	}.Fill(environ)
	if faults := slices.Concat(table.Faults(), fromRTA, table.Unknown(environ)); len(faults) > 0 {
		return c, faults
	}
	return c, nil
}

// options hand each room its own.
func (c *Config) options() (cli.Options, error) {
	policies, err := c.policies()
	if err != nil {
		return cli.Options{}, fmt.Errorf("reading the policies: %w", err)
	}
	encoding, err := burst.ParseEncoding(c.Inspect.Encoding.Value)
	if err != nil {
		return cli.Options{}, fmt.Errorf("reading INSPECT_ENCODING: %w", err)
	}
	return cli.Options{
		Settings: c.table().Show(),
		Buffer:   c.bufferOptions(),
		Jobs: jobs.Options{
			Trim:    c.trimOptions(policies),
			Cleanup: c.cleanupOptions(encoding),
			Inspect: c.inspectOptions(encoding),
			Metrics: jobs.MetricsOptions{
				When:       jobs.When{Enabled: true, Schedule: "@every " + c.MetricsInterval.Value.String()},
				MaxStreams: int(c.MetricsStreams.Value),
			},
		},
		Listen:        c.Listen.Value,
		LeaseTTL:      c.leaseTTL(),
		LogLevel:      c.Log.Level.Value,
		LogFormat:     c.Log.Format.Value,
		ShutdownGrace: c.ShutdownGrace.Value,
	}, nil
}

// leaseTTL is 0 without a lease.
func (c *Config) leaseTTL() time.Duration {
	if !c.Lease.Enabled.Value {
		return 0
	}
	return c.Lease.TTL.Value
}

func (c *Config) bufferOptions() buffer.Options {
	r := &c.Redis
	o := buffer.Options{
		Connection: redisconn.Connection{
			URL: r.URL.Value, Username: r.Username.Value, Password: r.Password.Value, PasswordFile: r.PasswordFile.Value,
			SentinelUsername: r.Sentinel.Username.Value, SentinelPassword: r.Sentinel.Password.Value,
			SentinelPasswordFile: r.Sentinel.PasswordFile.Value,
			CAFile:               r.TLS.CAFile.Value, CertFile: r.TLS.CertFile.Value, KeyFile: r.TLS.KeyFile.Value,
			ServerName: r.TLS.ServerName.Value,
			Timeout:    r.Timeout.Value,
		},
		Names: buffer.Names{
			Streams: c.StreamsKey.Value, StreamPrefix: c.StreamPrefix.Value,
			Sessions: c.SessionsKey.Value, StatePrefix: c.StatePrefix.Value,
		},
		Include:  c.StreamsInclude.Value,
		Exclude:  c.StreamsExclude.Value,
		MaxStall: c.Trim.MaxStall.Value,

		JudgeForeign: c.SessionsForeign.Value != settings.Keep,
	}
	for _, word := range c.SessionsLayout.Value {
		if word != settings.Auto {
			o.Layouts = append(o.Layouts, registry.Layout(word))
		}
	}
	return o
}

func (c *Config) trimOptions(policies trim.Policies) jobs.TrimOptions {
	t := &c.Trim
	return jobs.TrimOptions{
		When: jobs.When{Enabled: t.Enabled.Value, Schedule: t.Schedule.Value},
		Options: trim.Options{
			Policies: policies, Pressure: t.Pressure.Value, MaxStall: t.MaxStall.Value,
			RespectGroups: t.RespectGroups.Value, GroupIdleAfter: t.GroupIdleAfter.Value,
		},
	}
}

func (c *Config) cleanupOptions(encoding burst.Encoding) jobs.CleanupOptions {
	u := &c.Cleanup
	return jobs.CleanupOptions{
		When: jobs.When{Enabled: u.Enabled.Value, Schedule: u.Schedule.Value},
		Options: cleanup.Options{
			Limits: cleanup.Limits{
				ExpireAfter: u.ExpireAfter.Value, AbandonAfter: u.AbandonAfter.Value, RetireAfter: u.RetireAfter.Value,
			},
			TimeAlone: !u.Flowing.Value,
			Brake:     cleanup.Brake{Share: u.Brake.Value, Min: u.BrakeMin.Value, Hold: u.BrakeHold.Value},
			Scan:      u.Scan.Value,
			Encoding:  encoding,
		},
	}
}

func (c *Config) inspectOptions(encoding burst.Encoding) jobs.InspectOptions {
	i := &c.Inspect
	return jobs.InspectOptions{
		When: jobs.When{Enabled: i.Enabled.Value, Schedule: i.Schedule.Value},
		Options: inspect.Options{
			Samples: int(i.Samples.Value), MaxBytes: i.MaxBytes.Value, MaxBurst: int(i.MaxBurst.Value), Encoding: encoding,
		},
	}
}
