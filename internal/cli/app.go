package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/report"
	"github.com/streamkeeper/streamkeeper/trim"
)

// app is what the commands share: the outside world, and the flags of the
// command that runs.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	started        bool
	resolver       *net.Resolver // nil for the system's

	output   string
	redisURL string
	dryRun   bool
}

// outputFlag adds -o to a command that prints results.
func (a *app) outputFlag(c *cobra.Command) {
	c.Flags().StringVarP(&a.output, "output", "o", string(report.Table), "how to print results: table or json")
}

// redisFlag adds --redis-url.
func (a *app) redisFlag(c *cobra.Command) {
	c.Flags().StringVar(&a.redisURL, "redis-url", "", "where Redis is, instead of STREAMKEEPER_REDIS_URL")
}

func (a *app) dryRunFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.dryRun, "dry-run", false, "decide and report, but change nothing")
}

// format reads -o.
func (a *app) format() (report.Format, error) {
	f, err := report.ParseFormat(a.output)
	if err != nil {
		return "", usageError{err}
	}
	return f, nil
}

// load reads the configuration and makes the logger it asks for.
func (a *app) load(overrides ...override) (Config, *slog.Logger, error) {
	if a.redisURL != "" {
		overrides = append(overrides, override{"REDIS_URL", a.redisURL, "--redis-url"})
	}
	c, err := loadConfig(overrides...)
	if err != nil {
		return c, nil, err
	}
	return c, a.logger(c, a.stderr), nil
}

// logger writes to w, which leads to stderr.
func (a *app) logger(c Config, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Log.Level.Value}
	format := c.Log.Format.Value
	if format == "text" || format == "auto" && isTerminal(a.stderr) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// open connects to the buffer.
func (a *app) open(ctx context.Context, c Config, log *slog.Logger, readOnly bool, onError func(buffer.Class)) (*buffer.Buffer, error) {
	connection := c.connection()
	connection.Resolver = a.resolver
	return buffer.Open(ctx, buffer.Options{
		Connection: connection,
		Names:      c.keys(),
		Layouts:    c.layouts(),
		Include:    c.StreamsInclude.Value,
		Exclude:    c.StreamsExclude.Value,
		ReadOnly:   readOnly,
		MaxStall:   c.Trim.MaxStall.Value,
		OnError:    onError,
		Log:        log,
	})
}

func (c *Config) connection() buffer.Connection {
	r := c.Redis
	return buffer.Connection{
		URL: r.URL.Value, Username: r.Username.Value, Password: r.Password.Value, PasswordFile: r.PasswordFile.Value,
		SentinelUsername: r.Sentinel.Username.Value, SentinelPassword: r.Sentinel.Password.Value,
		SentinelPasswordFile: r.Sentinel.PasswordFile.Value,
		CAFile:               r.TLS.CAFile.Value, CertFile: r.TLS.CertFile.Value, KeyFile: r.TLS.KeyFile.Value,
		ServerName: r.TLS.ServerName.Value,
		Timeout:    r.Timeout.Value,
	}
}

func (c *Config) keys() buffer.Names {
	return buffer.Names{
		Streams: c.StreamsKey.Value, StreamPrefix: c.StreamPrefix.Value,
		Sessions: c.SessionsKey.Value, StatePrefix: c.StatePrefix.Value,
	}
}

func (c *Config) layouts() []buffer.Layout {
	var layouts []buffer.Layout
	for _, word := range c.SessionsLayout.Value {
		if word != "auto" {
			layouts = append(layouts, buffer.Layout(word))
		}
	}
	return layouts
}

// trimOptions are what trim needs of the configuration.
func (c *Config) trimOptions(log *slog.Logger) (trim.Options, error) {
	policies, err := c.policies()
	if err != nil {
		return trim.Options{}, fmt.Errorf("reading the policies: %w", err)
	}
	return trim.Options{
		Policies: policies, Pressure: float64(c.Trim.Pressure.Value), MaxStall: c.Trim.MaxStall.Value,
		RespectGroups: c.Trim.RespectGroups.Value, GroupIdleAfter: c.Trim.GroupIdleAfter.Value,
		Log: log.With("job", jobTrim),
	}, nil
}

// cleanupOptions are what cleanup needs of the configuration.
func (c *Config) cleanupOptions(log *slog.Logger, force bool) cleanup.Options {
	// A packing that is none was found out when the configuration was checked.
	encoding, _ := burst.ParseEncoding(c.Inspect.Encoding.Value)
	return cleanup.Options{
		Limits: cleanup.Limits{
			ExpireAfter: c.Cleanup.ExpireAfter.Value, AbandonAfter: c.Cleanup.AbandonAfter.Value, RetireAfter: c.Cleanup.RetireAfter.Value,
		},
		Brake:    cleanup.Brake{Share: c.Cleanup.Brake.Value, Min: c.Cleanup.BrakeMin.Value, Hold: c.Cleanup.BrakeHold.Value},
		Force:    force,
		Scan:     c.Cleanup.Scan.Value,
		Encoding: encoding,
		Log:      log.With("job", jobCleanup),
	}
}

func redisReport(b *buffer.Buffer) report.Redis {
	s := b.Server()
	return report.Redis{Version: s.Version, Mode: s.Mode}
}
