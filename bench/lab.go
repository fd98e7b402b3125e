package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
	"github.com/streamkeeper/streamkeeper/trim/sweep"
)

type options struct {
	runs           int
	quick, verbose bool
}

// lab is a row's server and what is measured on it.
type lab struct {
	options
	row    string
	server *redistest.Server
	buffer *buffer.Buffer
}

func (l *lab) close() {
	if l.buffer != nil {
		_ = l.buffer.Close()
	}
}

// size is n, or a tenth of it for a quick look.
func (l *lab) size(n int) int {
	if l.quick {
		return n / 10
	}
	return n
}

// rdb is the client that seeds and that does things the naive way.
func (l *lab) rdb() *redis.Client { return l.server.Client }

// open connects streamkeeper to the server as its commands do.
func open(ctx context.Context, url string) (*buffer.Buffer, error) {
	return buffer.Open(ctx, buffer.Options{Connection: redisconn.Connection{URL: url, Timeout: time.Minute}})
}

// trim is one run of a fresh trimmer, as by the command once.
func (l *lab) trim(ctx context.Context, p trim.Policy) (sweep.Report, error) {
	return l.trimWith(ctx, sweep.Options{Policies: trim.Policies{Default: p}})
}

func (l *lab) trimWith(ctx context.Context, o sweep.Options) (sweep.Report, error) {
	b, err := l.opened(ctx)
	if err != nil {
		return sweep.Report{}, err
	}
	r, err := sweep.New(b, o).Run(ctx)
	if err == nil && r.Errors > 0 {
		err = fmt.Errorf("%d streams were not trimmed", r.Errors)
	}
	return r, err
}

// opened is streamkeeper's connection to the server.
func (l *lab) opened(ctx context.Context) (_ *buffer.Buffer, err error) {
	if l.buffer == nil {
		l.buffer, err = open(ctx, l.server.URL())
	}
	return l.buffer, err
}

// figures are what one run of one side gave, by name.
type figures map[string]float64

// side is one way to do the work.
type side struct {
	name string
	run  func(context.Context) (figures, error)
}

// timed is a side of which only the wall time counts, in seconds.
func timed(name string, work func(context.Context) error) side {
	return side{name, func(ctx context.Context) (figures, error) {
		started := time.Now()
		err := work(ctx)
		return figures{"s": time.Since(started).Seconds()}, err
	}}
}

// results are all runs of all sides: results[side][figure][run].
type results map[string]map[string][]float64

// interleave runs the sides in turn, again and again, beginning with another
// one each time, so that whatever else the machine does hits all alike.
func (l *lab) interleave(ctx context.Context, sides ...side) (results, error) {
	all := make(results)
	for n := range l.runs {
		for i := range sides {
			s := sides[(n+i)%len(sides)]
			found, err := s.run(ctx)
			if err := errors.Join(err, ctx.Err()); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			if all[s.name] == nil {
				all[s.name] = make(map[string][]float64)
			}
			for name, v := range found {
				all[s.name][name] = append(all[s.name][name], v)
			}
		}
	}
	if l.verbose {
		l.show(sides, all)
	}
	return all, nil
}

func (l *lab) show(sides []side, all results) {
	for _, s := range sides {
		var names []string
		for name := range all[s.name] {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			var runs []string
			for _, v := range all[s.name][name] {
				runs = append(runs, fmt.Sprintf("%.4g", v))
			}
			fmt.Fprintf(os.Stderr, "  %-14s %-22s %-14s %s\n", l.row, s.name, name, strings.Join(runs, "  "))
		}
	}
}

func (r results) median(side, figure string) float64 { return median(r[side][figure]) }

func (r results) max(side, figure string) float64 { return slices.Max(r[side][figure]) }

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
