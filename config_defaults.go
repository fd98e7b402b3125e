package main

import (
	"log/slog"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// Defaults of the connection.
const (
	// DefaultRedisURL is the server of a developer's own machine.
	DefaultRedisURL = "redis://localhost:6379/0"
	// DefaultSessionsLayout finds the layout by looking.
	DefaultSessionsLayout = "auto"
	// DefaultStreamsInclude takes every stream for ours.
	DefaultStreamsInclude = "*"
)

// Defaults of trimming.
const (
	// DefaultTrimSchedule is how often the Stream Service's own trimmer runs.
	DefaultTrimSchedule = "@every 30s"
	// DefaultTrimMaxLength is what the Stream Service's own trimmer keeps.
	DefaultTrimMaxLength = 10_000
	// DefaultTrimMaxStall is short beside the 100 ms between two bursts of a
	// session, so that no producer notices.
	DefaultTrimMaxStall = time.Millisecond
	// DefaultTrimGroupIdleAfter outlasts the restart of a consumer, but not its
	// removal.
	DefaultTrimGroupIdleAfter = time.Hour
)

// Defaults of clean-up.
const (
	// DefaultCleanupSchedule is rare, because a run may walk the whole keyspace.
	DefaultCleanupSchedule = "@every 5m"
	// DefaultCleanupExpireAfter spares a session over a night.
	DefaultCleanupExpireAfter = 24 * time.Hour
	// DefaultCleanupRetireAfter spares a stream over a night.
	DefaultCleanupRetireAfter = 24 * time.Hour
	// DefaultCleanupBrake takes the end of half of everything at once for an
	// accident.
	DefaultCleanupBrake = 0.5
	// DefaultCleanupBrakeMin lets a small buffer go in one run.
	DefaultCleanupBrakeMin = 20
	// DefaultCleanupBrakeHold leaves an operator time to look.
	DefaultCleanupBrakeHold = time.Hour
)

// Defaults of inspection.
const (
	// DefaultInspectSchedule shows a bad producer within minutes.
	DefaultInspectSchedule = "@every 5m"
	// DefaultInspectSamples are the newest message, the oldest, and one between.
	DefaultInspectSamples = 3
	// DefaultInspectMaxBytes reads a thousand bursts of the recommended size.
	DefaultInspectMaxBytes = 64 << 20
	// DefaultInspectEncoding finds the packing by looking.
	DefaultInspectEncoding = "auto"
	// DefaultInspectMaxBurst is sixteen times the documented maximum.
	DefaultInspectMaxBurst = 16 << 20
)

// Defaults of the daemon.
const (
	// DefaultMetricsInterval matches the usual interval of scraping.
	DefaultMetricsInterval = 30 * time.Second
	// DefaultListen is the port of the status page and the metrics.
	DefaultListen = ":8080"
	// DefaultMetricsStreams is what a Prometheus server carries with ease.
	DefaultMetricsStreams = 500
	// DefaultLeaseTTL lets another replica take over within half a minute.
	DefaultLeaseTTL = 15 * time.Second
	// DefaultLogFormat is text on a terminal and JSON elsewhere.
	DefaultLogFormat = "auto"
	// DefaultShutdownGrace fits into the 30 s that Kubernetes gives.
	DefaultShutdownGrace = 20 * time.Second
)

// defaultConfig is what holds where nothing is set. Settings not named here are
// off, empty or without a limit.
func defaultConfig() Config {
	c := Config{
		Redis: RedisConfig{
			URL:     RedisURL{Value: DefaultRedisURL},
			Timeout: Duration{Value: buffer.DefaultTimeout},
		},
		StreamsKey:     Text{Value: buffer.DefaultNames.Streams},
		StreamPrefix:   Text{Value: buffer.DefaultNames.StreamPrefix},
		SessionsKey:    Text{Value: buffer.DefaultNames.Sessions},
		SessionsLayout: Layouts{Value: []string{DefaultSessionsLayout}},
		StatePrefix:    Text{Value: buffer.DefaultNames.StatePrefix},
		Trim: TrimConfig{
			Enabled:        Bool{Value: true},
			Schedule:       Schedule{Value: DefaultTrimSchedule},
			MaxLength:      Count{Value: DefaultTrimMaxLength},
			MaxStall:       Duration{Value: DefaultTrimMaxStall},
			GroupIdleAfter: Duration{Value: DefaultTrimGroupIdleAfter},
		},
		Cleanup: CleanupConfig{
			Enabled:     Bool{Value: true},
			Schedule:    Schedule{Value: DefaultCleanupSchedule},
			ExpireAfter: Duration{Value: DefaultCleanupExpireAfter},
			RetireAfter: Duration{Value: DefaultCleanupRetireAfter},
			Brake:       Share{Value: DefaultCleanupBrake},
			BrakeMin:    Count{Value: DefaultCleanupBrakeMin},
			BrakeHold:   Duration{Value: DefaultCleanupBrakeHold},
		},
		Inspect: InspectConfig{
			Enabled:  Bool{Value: true},
			Schedule: Schedule{Value: DefaultInspectSchedule},
			Samples:  Count{Value: DefaultInspectSamples},
			MaxBytes: Size{Value: DefaultInspectMaxBytes},
			Encoding: Encoding{Value: DefaultInspectEncoding},
			MaxBurst: Size{Value: DefaultInspectMaxBurst},
		},
		MetricsInterval: Duration{Value: DefaultMetricsInterval},
		Listen:          Listen{Value: DefaultListen},
		MetricsStreams:  Count{Value: DefaultMetricsStreams},
		Lease:           LeaseConfig{Enabled: Bool{Value: true}, TTL: Duration{Value: DefaultLeaseTTL}},
		Log:             LogConfig{Level: Level{Value: slog.LevelInfo}, Format: LogFormat{Value: DefaultLogFormat}},
		ShutdownGrace:   Duration{Value: DefaultShutdownGrace},
	}
	c.StreamsInclude.set(DefaultStreamsInclude, originDefault)
	return c
}
