package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kelseyhightower/envconfig"
)

// envPrefix and an underscore begin every environment variable of ours.
const envPrefix = "STREAMKEEPER"

// Config is every setting, in the order in which they are documented and shown.
// The fields' names make the variables' names: Trim.MaxAge is read from
// STREAMKEEPER_TRIM_MAX_AGE. There are no name tags, because envconfig would
// then read the variable without the prefix too.
type Config struct {
	Redis          RedisConfig   `split_words:"true"`
	StreamsKey     Text          `split_words:"true"`
	StreamPrefix   Text          `split_words:"true"`
	SessionsKey    Text          `split_words:"true"`
	SessionsLayout Layouts       `split_words:"true"`
	StreamsInclude Patterns      `split_words:"true"`
	StreamsExclude Patterns      `split_words:"true"`
	StatePrefix    Text          `split_words:"true"`
	Trim           TrimConfig    `split_words:"true"`
	Cleanup        CleanupConfig `split_words:"true"`
	Inspect        InspectConfig `split_words:"true"`
	// MetricsInterval is the time between two readings of the streams' figures.
	MetricsInterval Duration `split_words:"true"`
	// Listen is the HTTP address; empty for none.
	Listen Listen `split_words:"true"`
	// MetricsStreams bounds the streams that get a label of their own.
	MetricsStreams Count       `split_words:"true"`
	Lease          LeaseConfig `split_words:"true"`
	Log            LogConfig   `split_words:"true"`
	ShutdownGrace  Duration    `split_words:"true"`
}

// RedisConfig says how to reach Redis. Username and Password override the URL's;
// the files' content is read anew at each connection.
type RedisConfig struct {
	URL          RedisURL       `split_words:"true"`
	Username     Text           `split_words:"true"`
	Password     Secret         `split_words:"true"`
	PasswordFile File           `split_words:"true"`
	Sentinel     SentinelConfig `split_words:"true"`
	Timeout      Duration       `split_words:"true"`
	TLS          TLSConfig      `split_words:"true"`
}

// SentinelConfig holds the credentials for the Sentinels themselves.
type SentinelConfig struct {
	Username     Text   `split_words:"true"`
	Password     Secret `split_words:"true"`
	PasswordFile File   `split_words:"true"`
}

// TLSConfig names PEM files, and the name to expect in the server's certificate.
type TLSConfig struct {
	CAFile     File `split_words:"true"`
	CertFile   File `split_words:"true"`
	KeyFile    File `split_words:"true"`
	ServerName Text `split_words:"true"`
}

// TrimConfig says what streams may keep. A limit of 0 is none.
type TrimConfig struct {
	Enabled   Bool     `split_words:"true"`
	Schedule  Schedule `split_words:"true"`
	MaxLength Count    `split_words:"true"`
	MaxAge    Duration `split_words:"true"`
	Exact     Bool     `split_words:"true"`
	// Policies overrides the limits for streams by name.
	Policies  Text     `split_words:"true"`
	AllowTiny Bool     `split_words:"true"`
	MaxStall  Duration `split_words:"true"`
	MinAge    Duration `split_words:"true"`
	// Pressure is a share of Redis's maxmemory; 0 is off.
	Pressure       Share    `split_words:"true"`
	RespectGroups  Bool     `split_words:"true"`
	GroupIdleAfter Duration `split_words:"true"`
}

// CleanupConfig says when sessions and streams are taken for dead, and how many
// may go in one run.
type CleanupConfig struct {
	Enabled     Bool     `split_words:"true"`
	Schedule    Schedule `split_words:"true"`
	ExpireAfter Duration `split_words:"true"`
	// AbandonAfter of 0 is off.
	AbandonAfter Duration `split_words:"true"`
	RetireAfter  Duration `split_words:"true"`
	// Brake is a share of all sessions, or streams; 1 is off.
	Brake    Share `split_words:"true"`
	BrakeMin Count `split_words:"true"`
	// BrakeHold of 0 is for ever.
	BrakeHold Duration `split_words:"true"`
	Scan      Bool     `split_words:"true"`
}

// InspectConfig says how many messages are looked at, and how.
type InspectConfig struct {
	Enabled  Bool     `split_words:"true"`
	Schedule Schedule `split_words:"true"`
	Samples  Count    `split_words:"true"`
	MaxBytes Size     `split_words:"true"`
	Encoding Encoding `split_words:"true"`
	MaxBurst Size     `split_words:"true"`
}

// LeaseConfig is about the lease that lets one of several replicas work.
type LeaseConfig struct {
	Enabled Bool     `split_words:"true"`
	TTL     Duration `split_words:"true"`
}

// LogConfig says how much is logged, and in which form.
type LogConfig struct {
	Level  Level     `split_words:"true"`
	Format LogFormat `split_words:"true"`
}

// override is a setting given on the command line, which outranks the
// environment: its name without the prefix, and the flag as its origin.
type override struct{ name, value, origin string }

// configError is everything that is wrong with the configuration.
type configError struct{ faults []string }

// Error gives one fault a line.
func (e configError) Error() string { return strings.Join(e.faults, "\n") }

// loadConfig reads the settings from the environment, lets the overrides replace
// them, and fills what is still unset from the Stream Service's own variables.
// Faults are reported all at once, as a [configError].
func loadConfig(overrides ...override) (Config, error) {
	c := defaultConfig()
	if err := envconfig.Process(envPrefix, &c); err != nil {
		return c, fmt.Errorf("reading the environment: %w", err)
	}
	for _, o := range overrides {
		if err := c.override(o); err != nil {
			return c, err
		}
	}
	environ := os.Environ()
	fromRTA := c.fillFromRTA(environ)
	faults := slices.Concat(c.faults(), fromRTA, unknownVariables(environ, c.names()))
	if len(faults) > 0 {
		return c, configError{faults}
	}
	return c, nil
}

// override sets one setting by name. As everywhere, an empty value changes
// nothing.
func (c *Config) override(o override) error {
	for _, e := range c.entries() {
		if e.name == o.name {
			e.field.set(o.value, o.origin)
			return nil
		}
	}
	return fmt.Errorf("%s sets %s, which is no setting", o.origin, o.name)
}

// names lists the settings without the prefix.
func (c *Config) names() []string {
	var names []string
	for _, e := range c.entries() {
		names = append(names, e.name)
	}
	return names
}
