package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/demo"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/metrics"
)

func (a *app) demoCommand() *cobra.Command {
	var length days
	var producersOnly, serve bool
	var address string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole thing on an embedded Redis with synthetic producers",
		Long: "Starts a Redis inside the program and producers that fill it as real ones would, and looks\n" +
			"after it with short limits. With --producers it only fills the Redis at --redis-url. With --serve\n" +
			"it keeps the embedded Redis open without producers, for the tests of real ones: let a producer\n" +
			"write to it, and check what it wrote with streamkeeper doctor --session.",
		Example: "  streamkeeper demo\n  streamkeeper demo --for 20s\n  streamkeeper demo --producers --redis-url redis://localhost:6379/0\n  streamkeeper demo --serve --address 127.0.0.1:6390",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx := c.Context()
			if length.Duration < 0 {
				return usageError{fmt.Errorf("--for %s: want a duration such as 20s", length.Duration)}
			}
			switch {
			case serve && producersOnly:
				return usageError{errors.New("--serve is without producers, --producers without a server")}
			case c.Flags().Changed("address") && !serve:
				return usageError{errors.New("--address goes with --serve")}
			case serve && a.redisURL == "":
				return a.demoServe(ctx, address, length.Duration)
			}
			if producersOnly {
				return a.demoProducers(ctx, length.Duration)
			}
			if a.redisURL != "" {
				return usageError{errors.New("--redis-url goes with --producers: the demo itself runs on a Redis of its own")}
			}
			return a.demo(ctx, length.Duration)
		},
	}
	c.Flags().Var(&length, "for", "stop by itself after this long, with a summary")
	c.Flags().BoolVar(&producersOnly, "producers", false, "run the producers alone, against a real Redis")
	c.Flags().BoolVar(&serve, "serve", false, "keep the embedded Redis open, without producers")
	c.Flags().StringVar(&address, "address", demo.FreeAddress, "host and port of the Redis that --serve keeps open; port 0 is any free one")
	c.Flags().StringVar(&a.redisURL, "redis-url", "", "the Redis that --producers fill")
	return c
}

// demoPatience is for a demo that is told to end while it starts: it has a server
// and producers to end.
const demoPatience = 4 * time.Second

// demo runs producers and the daemon on an embedded Redis.
func (a *app) demo(ctx context.Context, length time.Duration) error {
	a.patience.Store(int64(demoPatience))
	server, err := demo.StartRedis(demo.FreeAddress)
	if err != nil {
		return err
	}
	defer server.Close()
	overrides := []settings.Override{{Name: "REDIS_URL", Text: server.URL(), Origin: "demo"}}
	for _, s := range demo.Limits() {
		overrides = append(overrides, settings.Override{Name: s.Name, Text: s.Value, Origin: "demo"})
	}
	config, _, err := a.load(overrides...)
	if err != nil {
		return err
	}
	client, err := config.Buffer.Connection.Client()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	producers := demo.NewProducers(client, demo.Options{Names: config.Buffer.Names})
	if err := producers.Seed(ctx); err != nil {
		return unlessInterrupted(ctx, err)
	}
	ctx, cancel := lasting(ctx, length)
	defer cancel()
	screen := a.live(a.Stdout)
	fmt.Fprintln(screen, "The limits of this demo, far below the defaults:")
	for _, limit := range config.Jobs.Limits() {
		fmt.Fprintln(screen, "  "+limit)
	}
	story := demo.NewStory(screen)
	screen.Start(story.Rows)
	defer screen.Done()
	interrupted := ctx
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return producers.Run(ctx) })
	// The story tells what happens; the log would only say it again.
	stderr := a.Stderr
	if screen.On() && isTerminal(stderr) {
		stderr = screen
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	group.Go(func() error { return a.serve(ctx, config, log, told(story, screen)) })
	err = group.Wait()
	screen.Done()
	fmt.Fprint(a.Stdout, story.Summary())
	return unlessInterrupted(interrupted, err)
}

// unlessInterrupted is nil where an error only says that ctx has ended, as it does
// while the demo starts.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return err
}

// told lets the story hear of everything; the rest goes to out.
func told(story *demo.Story, out io.Writer) daemonOptions {
	var once sync.Once
	return daemonOptions{
		anyPort: true,
		onListen: func(address net.Addr) {
			once.Do(func() { fmt.Fprintf(out, "The status page is at http://%s/\n", local(address)) })
		},
		listener: jobs.Listener{
			OnTrimmed:   story.Trimmed,
			OnCleanedUp: func(c cleanup.Action) { story.Cleaned(string(c.Kind), c.Session, c.Stream, c.Reason) },
			OnInspected: func(m inspect.Message) { story.Inspected(m.Stream, m.Verdict.String(), jobs.ReasonNames(m.Reasons)) },
			OnFigures: func(s metrics.Snapshot) {
				for _, f := range s.Chosen {
					story.Holds(f.Label, f.Entries, f.Bytes, f.Coverage)
				}
			},
		},
	}
}

// local is an address that a browser on this machine can open.
func local(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return address.String()
	}
	return fmt.Sprintf("localhost:%d", tcp.Port)
}

// lasting is a context that ends after length, unless that is 0.
func lasting(ctx context.Context, length time.Duration) (context.Context, context.CancelFunc) {
	if length == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, length)
}

// demoServe keeps the embedded Redis open until ctx ends, or for length.
func (a *app) demoServe(ctx context.Context, address string, length time.Duration) error {
	server, err := demo.StartRedis(address)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(a.Stdout, "Redis is open at %s; Ctrl-C ends it.\n", server.URL())
	ctx, cancel := lasting(ctx, length)
	defer cancel()
	<-ctx.Done()
	return nil
}

// demoProducers fills a real Redis until ctx ends, or for length.
func (a *app) demoProducers(ctx context.Context, length time.Duration) error {
	ctx, cancel := lasting(ctx, length)
	defer cancel()
	config, log, err := a.load()
	if err != nil {
		return err
	}
	config.Buffer.Connection.Lines, _ = linesUntil(ctx)
	client, err := config.Buffer.Connection.Client()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	producers := demo.NewProducers(client, demo.Options{Names: config.Buffer.Names, Log: log})
	if err := producers.CheckOurs(ctx); err != nil {
		return unlessInterrupted(ctx, err)
	}
	fmt.Fprintf(a.Stdout, "Producing into %s; Ctrl-C stops it.\n", config.Buffer.Connection.Redacted())
	return producers.Run(ctx)
}
