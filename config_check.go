package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/trim"
)

// entry is a setting's name without the prefix, the setting, and what has to
// hold beyond its syntax.
type entry struct {
	name   string
	field  field
	checks []check
}

// check says what is wrong with a setting.
type check func() error

// entries lists every setting in the order of the documentation.
func (c *Config) entries() []entry {
	e := func(name string, f field, checks ...check) entry { return entry{name, f, checks} }
	redis, sentinel, tls := &c.Redis, &c.Redis.Sentinel, &c.Redis.TLS
	return []entry{
		e("REDIS_URL", &redis.URL),
		e("REDIS_USERNAME", &redis.Username),
		e("REDIS_PASSWORD", &redis.Password),
		e("REDIS_PASSWORD_FILE", &redis.PasswordFile, onlyOne("REDIS_PASSWORD", &redis.Password, &redis.PasswordFile)),
		e("REDIS_SENTINEL_USERNAME", &sentinel.Username),
		e("REDIS_SENTINEL_PASSWORD", &sentinel.Password),
		e("REDIS_SENTINEL_PASSWORD_FILE", &sentinel.PasswordFile,
			onlyOne("REDIS_SENTINEL_PASSWORD", &sentinel.Password, &sentinel.PasswordFile)),
		e("REDIS_TIMEOUT", &redis.Timeout, atLeast(&redis.Timeout, time.Millisecond)),
		e("REDIS_TLS_CA_FILE", &tls.CAFile),
		e("REDIS_TLS_CERT_FILE", &tls.CertFile, needs("REDIS_TLS_KEY_FILE", &tls.KeyFile, &tls.CertFile)),
		e("REDIS_TLS_KEY_FILE", &tls.KeyFile, needs("REDIS_TLS_CERT_FILE", &tls.CertFile, &tls.KeyFile)),
		e("REDIS_TLS_SERVER_NAME", &tls.ServerName),
		e("STREAMS_KEY", &c.StreamsKey, c.apartFromOthers("STREAMS_KEY")),
		e("STREAM_PREFIX", &c.StreamPrefix, c.apartFromOthers("STREAM_PREFIX")),
		e("SESSIONS_KEY", &c.SessionsKey, c.apartFromOthers("SESSIONS_KEY")),
		e("SESSIONS_LAYOUT", &c.SessionsLayout),
		e("STREAMS_INCLUDE", &c.StreamsInclude),
		e("STREAMS_EXCLUDE", &c.StreamsExclude),
		e("STATE_PREFIX", &c.StatePrefix, c.apartFromOthers("STATE_PREFIX")),
		e("TRIM_ENABLED", &c.Trim.Enabled),
		e("TRIM_SCHEDULE", &c.Trim.Schedule),
		e("TRIM_MAX_LENGTH", &c.Trim.MaxLength, c.lengthIsNoTypo),
		e("TRIM_MAX_AGE", &c.Trim.MaxAge, c.ageIsNoTypo),
		e("TRIM_EXACT", &c.Trim.Exact),
		e("TRIM_POLICIES", &c.Trim.Policies, c.policiesMakeSense),
		e("TRIM_ALLOW_TINY", &c.Trim.AllowTiny),
		e("TRIM_MAX_STALL", &c.Trim.MaxStall, atLeast(&c.Trim.MaxStall, time.Microsecond), atMost(&c.Trim.MaxStall, time.Second)),
		e("TRIM_MIN_AGE", &c.Trim.MinAge, c.minAgeFits),
		e("TRIM_PRESSURE", &c.Trim.Pressure, c.pressureIsBounded),
		e("TRIM_RESPECT_GROUPS", &c.Trim.RespectGroups),
		e("TRIM_GROUP_IDLE_AFTER", &c.Trim.GroupIdleAfter, aboveZero(&c.Trim.GroupIdleAfter)),
		e("CLEANUP_ENABLED", &c.Cleanup.Enabled),
		e("CLEANUP_SCHEDULE", &c.Cleanup.Schedule),
		e("CLEANUP_EXPIRE_AFTER", &c.Cleanup.ExpireAfter, aboveZero(&c.Cleanup.ExpireAfter)),
		e("CLEANUP_ABANDON_AFTER", &c.Cleanup.AbandonAfter, c.abandonPrecedesExpiry),
		e("CLEANUP_RETIRE_AFTER", &c.Cleanup.RetireAfter, aboveZero(&c.Cleanup.RetireAfter)),
		e("CLEANUP_BRAKE", &c.Cleanup.Brake, aboveZero(&c.Cleanup.Brake)),
		e("CLEANUP_BRAKE_MIN", &c.Cleanup.BrakeMin),
		e("CLEANUP_BRAKE_HOLD", &c.Cleanup.BrakeHold),
		e("CLEANUP_SCAN", &c.Cleanup.Scan),
		e("INSPECT_ENABLED", &c.Inspect.Enabled),
		e("INSPECT_SCHEDULE", &c.Inspect.Schedule),
		e("INSPECT_SAMPLES", &c.Inspect.Samples, aboveZero(&c.Inspect.Samples)),
		e("INSPECT_MAX_BYTES", &c.Inspect.MaxBytes, aboveZero(&c.Inspect.MaxBytes)),
		e("INSPECT_ENCODING", &c.Inspect.Encoding),
		e("INSPECT_MAX_BURST", &c.Inspect.MaxBurst, aboveZero(&c.Inspect.MaxBurst), atMost(&c.Inspect.MaxBurst, 1<<30)),
		e("METRICS_INTERVAL", &c.MetricsInterval, aboveZero(&c.MetricsInterval)),
		e("LISTEN", &c.Listen),
		e("METRICS_STREAMS", &c.MetricsStreams),
		e("LEASE_ENABLED", &c.Lease.Enabled),
		e("LEASE_TTL", &c.Lease.TTL, atLeast(&c.Lease.TTL, 100*time.Millisecond)),
		e("LOG_LEVEL", &c.Log.Level),
		e("LOG_FORMAT", &c.Log.Format),
		e("SHUTDOWN_GRACE", &c.ShutdownGrace, aboveZero(&c.ShutdownGrace)),
	}
}

// faults lists what is wrong with the settings, a line each and in their order.
func (c *Config) faults() []string {
	var faults []string
	for _, e := range c.entries() {
		if err := e.fault(); err != nil {
			faults = append(faults, faultLine(e.label(), e.field.written(), err))
		}
	}
	return faults
}

// fault is the first thing wrong with a setting.
func (e entry) fault() error {
	if err := e.field.fault(); err != nil {
		return err
	}
	for _, check := range e.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// label is the name under which a user has given the setting.
func (e entry) label() string {
	switch origin := e.field.source(); origin {
	case originDefault, originEnvironment:
		return envPrefix + "_" + e.name
	default:
		return origin
	}
}

// faultLine puts a fault on one line, whatever the error is made of.
func faultLine(name, value string, err error) string {
	return fmt.Sprintf("%s=%q: %s", name, value, strings.ReplaceAll(err.Error(), "\n", "; "))
}

// number is what limits apply to.
type number interface{ ~int64 | ~float64 }

func aboveZero[T number, S syntax[T]](s *setting[T, S]) check {
	return func() error {
		if s.Value <= 0 {
			return errors.New("too small; allowed: more than 0")
		}
		return nil
	}
}

func atLeast[T number, S syntax[T]](s *setting[T, S], limit T) check {
	return func() error {
		if s.Value < limit {
			return fmt.Errorf("too small; allowed: %s or more", setting[T, S]{Value: limit})
		}
		return nil
	}
}

func atMost[T number, S syntax[T]](s *setting[T, S], limit T) check {
	return func() error {
		if s.Value > limit {
			return fmt.Errorf("too large; allowed: %s or less", setting[T, S]{Value: limit})
		}
		return nil
	}
}

// onlyOne refuses a secret that is given as text and as a file.
func onlyOne(otherName string, other *Secret, file *File) check {
	return func() error {
		if file.Value != "" && other.Value != "" {
			return fmt.Errorf("%s_%s is set too; allowed: one of them", envPrefix, otherName)
		}
		return nil
	}
}

// needs refuses one half of a pair. A half with a fault of its own counts as
// given.
func needs(otherName string, other, file *File) check {
	return func() error {
		if file.Value != "" && other.source() == originDefault {
			return fmt.Errorf("of no use alone; allowed: together with %s_%s", envPrefix, otherName)
		}
		return nil
	}
}

// lengthIsNoTypo and the checks below leave a setting alone while another that
// it is measured by has a fault of its own.
func (c *Config) lengthIsNoTypo() error {
	if n := c.Trim.MaxLength.Value; n > 0 && n < trim.MinLength && !c.tinyAllowed() {
		return fmt.Errorf("so few are more likely a typo; allowed: %d or more, 0 for no limit, or %s_TRIM_ALLOW_TINY=true", trim.MinLength, envPrefix)
	}
	return nil
}

func (c *Config) ageIsNoTypo() error {
	if age := c.Trim.MaxAge.Value; age > 0 && age < trim.MinMaxAge && !c.tinyAllowed() {
		return fmt.Errorf("so short is more likely a typo; allowed: %s or more, 0 for no limit, or %s_TRIM_ALLOW_TINY=true", Duration{Value: trim.MinMaxAge}, envPrefix)
	}
	return nil
}

func (c *Config) tinyAllowed() bool {
	return c.Trim.AllowTiny.Value || c.Trim.AllowTiny.fault() != nil
}

func (c *Config) minAgeFits() error {
	if limit := c.Trim.MaxAge; limit.fault() == nil && limit.Value > 0 && c.Trim.MinAge.Value > limit.Value {
		return fmt.Errorf("longer than TRIM_MAX_AGE; allowed: %s or less", limit)
	}
	return nil
}

func (c *Config) pressureIsBounded() error {
	if least := c.Trim.MinAge; least.fault() == nil && least.Value == 0 && c.Trim.Pressure.Value > 0 {
		return fmt.Errorf("of no use without a bound; allowed: together with %s_TRIM_MIN_AGE above 0", envPrefix)
	}
	return nil
}

func (c *Config) abandonPrecedesExpiry() error {
	after := c.Cleanup.AbandonAfter.Value
	if limit := c.Cleanup.ExpireAfter; limit.fault() == nil && after > 0 && after >= limit.Value {
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
	policies, err := c.policies()
	if err != nil || policies.Default.Validate(c.tinyAllowed()) != nil {
		return err
	}
	var errs []error
	for _, rule := range policies.Rules {
		if err := rule.Policy.Validate(c.tinyAllowed()); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", rule.Pattern, err))
		}
	}
	return errors.Join(errs...)
}

// keySpace is a key, or all keys with a prefix, and whose it is.
type keySpace struct {
	owner, text string
	prefix      bool
}

func (k keySpace) overlaps(other keySpace) bool {
	switch {
	case k.prefix && strings.HasPrefix(other.text, k.text):
		return true
	case other.prefix && strings.HasPrefix(k.text, other.text):
		return true
	}
	return k.text == other.text
}

// apartFromOthers refuses a key that could also be one of another setting that
// stands before it.
func (c *Config) apartFromOthers(name string) check {
	return func() error {
		spaces := []keySpace{
			{"the producers' counter", "lastStreamSessionId", false},
			{"STREAMS_KEY", c.StreamsKey.Value, false},
			{"STREAM_PREFIX", c.StreamPrefix.Value, true},
			{"SESSIONS_KEY", c.SessionsKey.Value, false},
			{"SESSIONS_KEY", c.SessionsKey.Value + ":", true},
			{"STATE_PREFIX", c.StatePrefix.Value, true},
		}
		for i, mine := range spaces {
			for _, other := range spaces[:i] {
				if mine.owner == name && other.owner != name && mine.overlaps(other) {
					return fmt.Errorf("shares keys with %s (%q); allowed: names that cannot meet", other.owner, other.text)
				}
			}
		}
		return nil
	}
}
