package main

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/kelseyhightower/envconfig"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
)

// Config is every setting; those of the jobs stand with the jobs. The fields'
// names make the variables' names: Redis.Timeout is read from STREAMKEEPER_REDIS_TIMEOUT. There are no name tags,
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
	HistoryLength   settings.Count    `split_words:"true"`
	jobs.Settings
	MetricsFile   settings.PromFile `split_words:"true"`
	Push          PushConfig        `split_words:"true"`
	Listen        settings.Listen   `split_words:"true"`
	Lease         LeaseConfig       `split_words:"true"`
	Log           LogConfig         `split_words:"true"`
	ShutdownGrace settings.Duration `split_words:"true"`
}

// RedisConfig says how to reach Redis.
type RedisConfig struct {
	URL          settings.RedisURL `split_words:"true"`
	Username     settings.Text     `split_words:"true"`
	Password     settings.Secret   `split_words:"true"`
	PasswordFile settings.File     `split_words:"true"`
	Sentinel     SentinelConfig    `split_words:"true"`
	Timeout      settings.Duration `split_words:"true"`
	AllowReplica settings.Bool     `split_words:"true"`
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

// PushConfig names a Pushgateway, which may want a password.
type PushConfig struct {
	URL     settings.WebURL `split_words:"true"`
	URLFile settings.File   `split_words:"true"`
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
	return slices.Concat(c.redisTable(), c.bufferTable(), c.Table(), c.daemonTable())
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
		settings.New("REDIS_ALLOW_REPLICA", &r.AllowReplica, false, "whether what removes may run on a replica, writable or not"),
		settings.New("REDIS_TLS_CA_FILE", &tls.CAFile, "", "PEM file of the authorities to trust, instead of the system's",
			settings.FileThat(&tls.CAFile, redisconn.CheckAuthorities)),
		settings.New("REDIS_TLS_CERT_FILE", &tls.CertFile, "", "PEM file of our certificate, for mutual TLS",
			settings.Needs("REDIS_TLS_KEY_FILE", &tls.KeyFile, &tls.CertFile), settings.FileThat(&tls.CertFile, redisconn.CheckCertificate)),
		settings.New("REDIS_TLS_KEY_FILE", &tls.KeyFile, "", "PEM file of our private key",
			settings.Needs("REDIS_TLS_CERT_FILE", &tls.CertFile, &tls.KeyFile), settings.FileThat(&tls.KeyFile, c.keyFits)),
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
		settings.New("SESSIONS_LAYOUT", &c.SessionsLayout, nil, "how sessions lie in Redis"),
		settings.New("SESSIONS_FOREIGN", &c.SessionsForeign, settings.Keep, "whether entries that no RTA field marks stay (keep), or are judged by their time (expire)"),
		settings.New("STREAMS_INCLUDE", &c.StreamsInclude, settings.Everything(), "patterns of the streams to look after"),
		settings.New("STREAMS_EXCLUDE", &c.StreamsExclude, nil, "patterns of the streams that are neither read nor changed"),
		settings.New("STATE_PREFIX", &c.StatePrefix, names.StatePrefix, "where streamkeeper keeps its own few keys", apart("STATE_PREFIX")),
		settings.New("HISTORY_LENGTH", &c.HistoryLength, buffer.DefaultHistoryLength, "how many removals are remembered in Redis; 0 for none",
			settings.AtMost(&c.HistoryLength, 10_000_000)),
	}
}

func (c *Config) daemonTable() settings.Table {
	return settings.Table{
		settings.New("METRICS_FILE", &c.MetricsFile, "", "file (*.prom) in which once leaves its metrics for node_exporter"),
		settings.New("PUSH_URL", &c.Push.URL, "", "Pushgateway at which once leaves its metrics", c.gatewayIsOne),
		settings.New("PUSH_URL_FILE", &c.Push.URLFile, "", "file that holds the Pushgateway's URL, so that its password stands nowhere else", c.gatewayIsGivenOnce),
		settings.New("LISTEN", &c.Listen, defaultListen, "HTTP address; empty for none"),
		settings.New("LEASE_ENABLED", &c.Lease.Enabled, true, "let one of several replicas work"),
		settings.New("LEASE_TTL", &c.Lease.TTL, cli.DefaultLeaseTTL, "another replica takes over after about so long",
			settings.AtLeast(&c.Lease.TTL, 100*time.Millisecond), settings.AtMost(&c.Lease.TTL, time.Hour)),
		settings.New("LOG_LEVEL", &c.Log.Level, slog.LevelInfo, "the least severe level that is logged"),
		settings.New("LOG_FORMAT", &c.Log.Format, settings.Auto, "text, json, or auto: text on a terminal"),
		settings.New("SHUTDOWN_GRACE", &c.ShutdownGrace, defaultShutdownGrace, "how long a run may go on after SIGTERM",
			settings.AboveZero(&c.ShutdownGrace), settings.AtMost(&c.ShutdownGrace, time.Hour)),
	}
}

// keySpaces are whose keys are where, in the order in which they are judged.
func (c *Config) keySpaces() []settings.KeySpace {
	all := []settings.KeySpace{
		{Owner: "the producers' counter", Text: "lastStreamSessionId"},
		{Owner: "STREAMS_KEY", Text: c.StreamsKey.Value},
		{Owner: "STREAM_PREFIX", Text: c.StreamPrefix.Value, Prefix: true},
		{Owner: "SESSIONS_KEY", Text: c.SessionsKey.Value},
	}
	for _, prefix := range registry.KeyPrefixes(c.SessionsKey.Value) {
		all = append(all, settings.KeySpace{Owner: "SESSIONS_KEY", Text: prefix, Prefix: true})
	}
	return append(all, settings.KeySpace{Owner: "STATE_PREFIX", Text: c.StatePrefix.Value, Prefix: true})
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
	ofJobs, err := c.Options()
	if err != nil {
		return cli.Options{}, err
	}
	return cli.Options{
		Settings:      c.table().Show(),
		Buffer:        c.bufferOptions(),
		Jobs:          ofJobs,
		MetricsFile:   c.MetricsFile.Value,
		PushURL:       c.Push.URL.Value,
		PushURLFile:   c.Push.URLFile.Value,
		HistoryLength: c.HistoryLength.Value,
		Listen:        c.Listen.Value,
		LeaseTTL:      c.leaseTTL(),
		LogLevel:      c.Log.Level.Value,
		LogFormat:     c.Log.Format.Value,
		ShutdownGrace: c.ShutdownGrace.Value,
	}, nil
}

// keyFits refuses a private key that is not that of the certificate, unless the
// certificate has a fault of its own.
func (c *Config) keyFits(path string) error {
	cert := c.Redis.TLS.CertFile
	if cert.Fault() != nil || redisconn.CheckCertificate(cert.Value) != nil {
		return redisconn.CheckKey(path, "")
	}
	return redisconn.CheckKey(path, cert.Value)
}

// gatewayIsOne refuses a path that a Pushgateway does not know.
func (c *Config) gatewayIsOne() error {
	if c.Push.URL.Value == "" {
		return nil
	}
	_, err := metrics.ParseGateway(c.Push.URL.Value)
	return err
}

// gatewayIsGivenOnce lets the flag outrank the file.
func (c *Config) gatewayIsGivenOnce() error {
	if c.Push.URLFile.Value != "" && c.Push.URL.Origin() == settings.OriginEnvironment {
		return fmt.Errorf("%s_PUSH_URL is set too; allowed: one of them", settings.Prefix)
	}
	return nil
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
	return buffer.Options{
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
		Layouts:      c.SessionsLayout.Value,
		AllowReplica: r.AllowReplica.Value,
		JudgeForeign: c.SessionsForeign.Value != settings.Keep,
		Include:      c.StreamsInclude.Value,
		Exclude:      c.StreamsExclude.Value,
		MaxStall:     c.Trim.MaxStall.Value,
	}
}
