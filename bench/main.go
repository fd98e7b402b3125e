// Command bench measures trimming and clean-up against what Redis itself can do and against
// the naive way, each side by side on a server that it starts; see README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// A row measures one kind of work on a server of its own.
type row struct {
	name    string
	measure func(context.Context, *lab) ([]verdict, error)
}

func rows() []row {
	return []row{
		{"pass", measurePass},
		{"pass-age", measurePassAge},
		{"pass-bytes", measurePassBytes},
		{"pass-million", measureMillion},
		{"backlog-small", measureSmallBacklog},
		{"backlog-large", measureLargeBacklog},
		{"busy", measureBusy},
		{"pressure", measurePressure},
		{"sessions-object", measureSessionsObject},
		{"sessions-keys", measureSessionsKeys},
		{"doctor", measureDoctor},
		{"expire-object", measureExpireObject},
		{"expire-keys", measureExpireKeys},
		{"recording", measureRecording},
		{"cluster-pass", onCluster(measureClusterPass)},
		{"cluster-backlog-small", onCluster(measureClusterSmallBacklog)},
		{"cluster-backlog-large", onCluster(measureClusterLargeBacklog)},
		{"cluster-busy", onCluster(measureClusterBusy)},
	}
}

func main() {
	// As streamkeeper itself does; see its main.go.
	debug.SetGCPercent(400)
	if len(os.Args) == 3 {
		modes := map[string]func(context.Context, string) error{
			neighbourMode: beNeighbour, sweeperMode: beSweeper, cleanerMode: beCleaner, doctorMode: beDoctor,
		}
		if be := modes[os.Args[1]]; be != nil {
			exitOn(be(context.Background(), os.Args[2]))
			return
		}
	}
	wanted := flag.String("rows", "*", "patterns of the rows to measure, separated by commas")
	list := flag.Bool("list", false, "list the rows")
	o := options{}
	flag.IntVar(&o.runs, "runs", 5, "interleaved runs of each side; the medians are compared")
	flag.BoolVar(&o.quick, "quick", false, "a tenth of everything: to see that it works, not to judge")
	flag.BoolVar(&o.verbose, "v", false, "show every run")
	flag.Parse()
	if *list {
		for _, r := range rows() {
			fmt.Println(r.name)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exitOn(run(ctx, strings.Split(*wanted, ","), o))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, patterns []string, o options) error {
	var verdicts []verdict
	for _, r := range rows() {
		wanted := slices.ContainsFunc(patterns, func(p string) bool { ok, _ := path.Match(p, r.name); return ok })
		if !wanted {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s …\n", r.name)
		found, err := measureRow(ctx, r, o)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		verdicts = append(verdicts, found...)
	}
	return printTable(os.Stdout, verdicts)
}

// measureRow gives each row a fresh server, so that none inherits another's
// memory.
func measureRow(ctx context.Context, r row, o options) ([]verdict, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := redistest.Launch(dir)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	l := &lab{options: o, server: server, row: r.name}
	defer l.close()
	return r.measure(ctx, l)
}
