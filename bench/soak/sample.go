package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// sample is what the process takes at one time.
type sample struct {
	at                           time.Duration
	goroutines, files, series    int
	resident, heap               int // bytes
	streams, redisErrors, failed int
	runs                         int
}

// recorder writes samples to a CSV.
type recorder struct {
	path  string
	file  *os.File
	csv   *csv.Writer
	begun time.Time
}

func newRecorder(path string) (*recorder, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	r := &recorder{path: path, file: file, csv: csv.NewWriter(file), begun: time.Now()}
	return r, r.csv.Write([]string{
		"seconds", "phase", "goroutines", "resident_bytes", "heap_bytes", "open_files", "series", "streams", "runs_ok", "runs_failed", "redis_errors",
	})
}

func (r *recorder) close() error {
	r.csv.Flush()
	return errors.Join(r.csv.Error(), r.file.Close())
}

const sampleEvery = 5 * time.Second

// watch takes samples for a while.
func (r *recorder) watch(ctx context.Context, k *instance, phase string, length time.Duration) ([]sample, error) {
	var samples []sample
	for range length / sampleEvery {
		if !sleep(ctx, sampleEvery) {
			return nil, context.Cause(ctx)
		}
		s, err := scrape(ctx, k.url+"/metrics")
		if err != nil {
			return nil, fmt.Errorf("streamkeeper's metrics: %w", err)
		}
		s.at = time.Since(r.begun)
		samples = append(samples, s)
		if err := r.write(phase, s); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

func (r *recorder) write(phase string, s sample) error {
	row := []string{strconv.Itoa(int(s.at.Seconds())), phase}
	for _, n := range []int{s.goroutines, s.resident, s.heap, s.files, s.series, s.streams, s.runs, s.failed, s.redisErrors} {
		row = append(row, strconv.Itoa(n))
	}
	if err := r.csv.Write(row); err != nil {
		return err
	}
	r.csv.Flush() // who is curious need not wait
	return r.csv.Error()
}

func scrape(ctx context.Context, url string) (sample, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return sample{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	return parse(answer.Body)
}

// parse reads the text format of Prometheus, one series a line.
func parse(page io.Reader) (sample, error) {
	var s sample
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			return s, err
		}
		s.series++
		s.take(line[:space], int(value))
	}
	return s, lines.Err()
}

func (s *sample) take(series string, value int) {
	switch name, labels, _ := strings.Cut(series, "{"); name {
	case "go_goroutines":
		s.goroutines = value
	case "process_resident_memory_bytes":
		s.resident = value
	case "go_memstats_heap_inuse_bytes":
		s.heap = value
	case "process_open_fds":
		s.files = value
	case "streamkeeper_streams":
		s.streams = value
	case "streamkeeper_redis_errors_total":
		s.redisErrors += value
	case "streamkeeper_job_runs_total":
		if strings.Contains(labels, `"ok"`) {
			s.runs += value
		} else if strings.Contains(labels, `"error"`) {
			s.failed += value
		}
	}
}

// median of one figure of the samples.
func median(samples []sample, figure func(sample) int) int {
	values := make([]int, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// A figure may grow by so much and still be where it was.
type figure struct {
	name  string
	of    func(sample) int
	share float64
	more  int
}

func figures() []figure {
	return []figure{
		{"goroutines", func(s sample) int { return s.goroutines }, 0, 5},
		// The pool of connections fills up, to ten a core, and keeps them.
		{"open files", func(s sample) int { return s.files }, 0, 10 * runtime.GOMAXPROCS(0)},
		{"series", func(s sample) int { return s.series }, 0, 0},
		// The collector of garbage lets it breathe.
		{"resident bytes", func(s sample) int { return s.resident }, .2, 4 << 20},
	}
}

// judge compares the last fifth of the load with its first after a warm-up, and
// the calm after it with the calm before.
func judge(before, load, after []sample) error {
	fifth := len(load) / 5
	if fifth == 0 {
		return errors.New("too short to judge")
	}
	var faults []error
	for _, f := range figures() {
		early, late := median(load[fifth:2*fifth], f.of), median(load[len(load)-fifth:], f.of)
		faults = append(faults, f.compare("in the load", early, late))
		// What the runtime took in the load it keeps for a while.
		if f.share == 0 {
			faults = append(faults, f.compare("in the calm", median(before, f.of), median(after, f.of)))
		}
	}
	if last := load[len(load)-1]; last.runs == 0 || last.redisErrors == 0 {
		faults = append(faults, errors.New("nothing ran, or Redis never failed: there was no load"))
	}
	return errors.Join(faults...)
}

func (f figure) compare(when string, was, is int) error {
	if is <= was+int(float64(was)*f.share)+f.more {
		return nil
	}
	return fmt.Errorf("%s grew from %d to %d %s", f.name, was, is, when)
}

// printCurve prints a dozen medians over the time.
func printCurve(w io.Writer, before, load, after []sample) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "minute\tgoroutines\tresident MB\theap MB\tfiles\tseries\tstreams\truns ok\tfailed\tRedis errors\t")
	parts := [][]sample{before}
	parts = append(parts, slices.Collect(slices.Chunk(load, max(1, len(load)/10)))...)
	for _, part := range append(parts, after) {
		last := part[len(part)-1]
		mb := func(of func(sample) int) float64 { return float64(median(part, of)) / 1e6 }
		fmt.Fprintf(table, "%.0f\t%d\t%.1f\t%.1f\t%d\t%d\t%d\t%d\t%d\t%d\t\n", cmp.Or(last.at, 1).Minutes(),
			median(part, func(s sample) int { return s.goroutines }), mb(func(s sample) int { return s.resident }),
			mb(func(s sample) int { return s.heap }), median(part, func(s sample) int { return s.files }),
			median(part, func(s sample) int { return s.series }), median(part, func(s sample) int { return s.streams }),
			last.runs, last.failed, last.redisErrors)
	}
	_ = table.Flush()
}
