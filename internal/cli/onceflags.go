package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/secret"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
	"github.com/streamkeeper/streamkeeper/trim"
)

// onceOptions are the arguments and flags of once.
type onceOptions struct {
	names []string
	// force overrides the guard, and ignorePause pauses.
	force, ignorePause bool
	// streams are the patterns of those that are trimmed, as they were given.
	streams  []string
	patterns buffer.Patterns
	// limits are the flags of limits that were given, by their settings.
	limits map[string]string
	// metricsFile and push are flags.
	metricsFile, push string
	// file and gateway are where metrics are left.
	file    string
	gateway *metrics.Gateway
}

// overrides are the flags that are settings, too.
func (o *onceOptions) overrides() []settings.Override {
	all := []settings.Override{
		{Name: "METRICS_FILE", Text: o.metricsFile, Origin: "--metrics-file"},
		{Name: "PUSH_URL", Text: o.push, Origin: "--push"},
	}
	for _, l := range onceLimits {
		if text, given := o.limits[l.setting]; given {
			all = append(all, settings.Override{Name: l.setting, Text: text, Origin: "--" + l.flag})
		}
	}
	return all
}

// onceLimits are the flags that are limits for one run.
var onceLimits = []struct{ flag, setting, usage string }{
	{"max-length", "TRIM_MAX_LENGTH", "entries to keep in these streams in this run; 0 for no limit"},
	{"max-age", "TRIM_MAX_AGE", "age past which entries go in this run, such as 1h or 7d; 0 for no limit"},
	{"max-bytes", "TRIM_MAX_BYTES", "memory that the entries of each may take in this run, such as 512MiB; 0 for no limit"},
}

// checkLimits takes the limits of this run in, and says what is wrong with them.
func (o *onceOptions) checkLimits(given func(flag string) bool, value func(flag string) string) error {
	o.limits = make(map[string]string)
	for _, l := range onceLimits {
		if !given(l.flag) {
			continue
		}
		if len(o.streams) == 0 {
			return fmt.Errorf("--%s without --stream; allowed: once trim --stream PATTERN ('*' for all streams)", l.flag)
		}
		o.limits[l.setting] = value(l.flag)
	}
	if len(o.streams) > 0 && !slices.Equal(o.names, []string{jobs.Trim}) {
		return errors.New("--stream is for trim alone; allowed: once trim --stream PATTERN")
	}
	for _, text := range o.streams {
		p, err := buffer.ParsePattern(escape.Bytes(text))
		if err != nil {
			return err
		}
		o.patterns = append(o.patterns, p)
	}
	return nil
}

// unmatched are the patterns of this run that choose no stream, as they were given;
// none where Redis does not tell.
func (o *onceOptions) unmatched(ctx context.Context, b *buffer.Buffer) (words []string) {
	if o.patterns == nil {
		return nil
	}
	used, err := b.Matched(ctx, o.patterns)
	if err != nil {
		return nil
	}
	for i, word := range o.streams {
		if !used[i] {
			words = append(words, word)
		}
	}
	return words
}

// limit sets the limits of this run in the options of trim. A run for some streams
// does not relieve the memory, which is a matter of all.
func (o *onceOptions) limit(t *jobs.TrimOptions) error {
	if o.patterns == nil {
		return nil
	}
	t.OneTime, t.Pressure = true, 0
	var l trim.Limits
	global := t.Policies.Default // which the flags have set
	for setting := range o.limits {
		switch setting {
		case "TRIM_MAX_LENGTH":
			l.MaxLength = &global.MaxLength
		case "TRIM_MAX_AGE":
			l.MaxAge = &global.MaxAge
		case "TRIM_MAX_BYTES":
			l.MaxBytes = &global.MaxBytes
		}
	}
	limited, err := t.Policies.Limited(l)
	if err != nil {
		return settings.ConfigErrors{fmt.Sprintf("the limits of this run: %v", err)}
	}
	t.Policies = limited
	return nil
}

// findOutlets finds out where metrics are left. What is wrong with a file is a
// fault of the configuration, and does not repeat what stands in it.
func (o *onceOptions) findOutlets(config Options) error {
	o.file = config.MetricsFile
	text, name := config.PushURL, "PUSH_URL"
	if text == "" && config.PushURLFile != "" {
		var err error
		name = "PUSH_URL_FILE"
		if text, err = secret.Read(config.PushURLFile); err != nil {
			return settings.ConfigErrors{fmt.Sprintf("%s_%s=%q: %v", settings.Prefix, name, config.PushURLFile, err)}
		}
		if text = strings.TrimSpace(text); text == "" {
			return settings.ConfigErrors{fmt.Sprintf("%s_%s=%q: the file is empty; allowed: one with the URL of a Pushgateway", settings.Prefix, name, config.PushURLFile)}
		}
	}
	if text == "" {
		return nil
	}
	g, err := metrics.ParseGateway(text)
	if err != nil {
		return settings.ConfigErrors{fmt.Sprintf("%s_%s: %v", settings.Prefix, name, err)}
	}
	o.gateway = &g
	return nil
}

// keepsMetrics reports whether anybody asks for the metrics of the run.
func (o *onceOptions) keepsMetrics() bool { return o.file != "" || o.gateway != nil }

// chosen are the jobs that are asked for, or else enabled, in the order of the
// list; and the one that reads figures, if somebody wants its metrics.
func (o *onceOptions) chosen(enabled []string) (all []jobs.Job) {
	names := o.names
	if len(names) == 0 {
		names = enabled
	}
	var last []jobs.Job
	for _, job := range jobs.All() {
		switch {
		case slices.Contains(names, job.Name):
			all = append(all, job)
		case job.Background && o.keepsMetrics():
			last = append(last, job)
		}
	}
	return append(all, last...)
}
