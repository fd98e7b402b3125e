package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/trim"
)

const clusterMasters = 3

// clusterLab is a cluster and what is measured on it. The server of its lab,
// beside whose work the neighbour lives, is the master with the set of streams.
type clusterLab struct {
	*lab
	*redistest.Cluster
	// tags are hash tags, each of a slot of the master at its place.
	tags []string
}

// onCluster measures on a cluster of its own.
func onCluster(measure func(context.Context, *clusterLab) ([]verdict, error)) func(context.Context, *lab) ([]verdict, error) {
	return func(ctx context.Context, l *lab) ([]verdict, error) {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return nil, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		c := &clusterLab{lab: &lab{options: l.options, row: l.row}}
		c.Cluster, err = redistest.LaunchCluster(ctx, dir, clusterMasters, false)
		defer c.Stop()
		if err != nil {
			return nil, err
		}
		defer c.close()
		if c.server, err = c.MasterOf(ctx, "streams"); err != nil {
			return nil, err
		}
		if err := c.findTags(ctx); err != nil {
			return nil, err
		}
		return measure(ctx, c)
	}
}

// findTags finds a hash tag for each master.
func (c *clusterLab) findTags(ctx context.Context) error {
	c.tags = make([]string, len(c.Masters))
	for n, found := 0, 0; found < len(c.tags); n++ {
		tag := fmt.Sprintf("{%d}", n)
		owner, err := c.owner(ctx, tag)
		if err != nil {
			return err
		}
		if c.tags[owner] == "" {
			c.tags[owner] = tag
			found++
		}
	}
	return nil
}

// owner is the number of the master that serves a key.
func (c *clusterLab) owner(ctx context.Context, key string) (int, error) {
	master, err := c.MasterOf(ctx, key)
	for i, m := range c.Masters {
		if m == master {
			return i, nil
		}
	}
	return 0, err
}

// each does something with all masters side by side.
func (c *clusterLab) each(ctx context.Context, do func(ctx context.Context, master int, rdb *redis.Client) error) error {
	all, ctx := errgroup.WithContext(ctx)
	for i, m := range c.Masters {
		all.Go(func() error { return do(ctx, i, m.Client) })
	}
	return all.Wait()
}

// pipes feeds each master its own commands, side by side.
func (c *clusterLab) pipes(ctx context.Context, inputs [][]byte) error {
	return c.each(ctx, func(ctx context.Context, master int, _ *redis.Client) error {
		if len(inputs[master]) == 0 {
			return nil
		}
		return pipeTo(ctx, c.Masters[master].Addr, "0", inputs[master])
	})
}

// pipesElsewhere feeds all masters but the neighbour's: what that one waits
// then, it waits for a processor.
func (c *clusterLab) pipesElsewhere(inputs [][]byte) func(context.Context) error {
	others := slices.Clone(inputs)
	for i, m := range c.Masters {
		if m == c.server {
			others[i] = nil
		}
	}
	return func(ctx context.Context) error { return c.pipes(ctx, others) }
}

// seedSpread makes listed streams that need nothing, in whatever slots their
// names hash to.
func (c *clusterLab) seedSpread(ctx context.Context, streams, entries int) error {
	const chunk = 1000
	payload := bytes.Repeat([]byte{'x'}, listedEntryBytes)
	for first := 0; first < streams; first += chunk {
		_, err := c.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for n := first; n < min(streams, first+chunk); n++ {
				name := fmt.Sprintf("car-%07d", n)
				p.SAdd(ctx, "streams", name)
				for range entries {
					p.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"type", 3, "payload", payload}})
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("seeding: %w", err)
		}
	}
	return nil
}

// spreadCommands are a command for each stream, by the master that serves it.
func (c *clusterLab) spreadCommands(ctx context.Context, streams int, command string) ([][]byte, error) {
	inputs := make([]bytes.Buffer, len(c.Masters))
	for n := range streams {
		key := fmt.Sprintf("stream:car-%07d", n)
		owner, err := c.owner(ctx, key)
		if err != nil {
			return nil, err
		}
		writeCommand(&inputs[owner], command, key)
	}
	all := make([][]byte, len(inputs))
	for i := range inputs {
		all[i] = inputs[i].Bytes()
	}
	return all, nil
}

// measureClusterPass is a pass over streams that need nothing.
func measureClusterPass(ctx context.Context, c *clusterLab) ([]verdict, error) {
	streams := c.size(passStreams)
	if err := c.seedSpread(ctx, streams, 3); err != nil {
		return nil, err
	}
	inputs, err := c.spreadCommands(ctx, streams, trimLength)
	if err != nil {
		return nil, err
	}
	pass := func(ctx context.Context) error { _, err := c.trim(ctx, trim.Policy{MaxLength: maxLength}); return err }
	pipe := func(ctx context.Context) error { return c.pipes(ctx, inputs) }
	r, err := c.interleave(ctx, timed("pipe", pipe), timed("ours", pass))
	if err != nil {
		return nil, err
	}
	beside, err := c.passesBeside(ctx, pass, pipe)
	if err != nil {
		return nil, err
	}
	away, err := c.interleave(ctx, again(c.lab, "pipe elsewhere", c.pipesElsewhere(inputs)))
	if err != nil {
		return nil, err
	}
	ours, other := r.median("ours", "s"), r.median("pipe", "s")
	work := fmt.Sprintf("cluster: pass over %d streams", streams)
	neighbour := beside.worse("ours", work+", neighbour's p99", 0.5)
	neighbour.note += fmt.Sprintf("; p99 beside the pipes %s, beside pipes into the other masters only %s",
		millis(beside.median("pipe", "p99")), millis(away.median("pipe elsewhere", "p99")))
	return []verdict{
		{work: work, ours: seconds(ours), other: seconds(other) + " pipes", ratio: ours / other, unit: "×", bound: 2},
		neighbour,
	}, nil
}

func measureClusterSmallBacklog(ctx context.Context, c *clusterLab) ([]verdict, error) {
	return c.measureBacklogs(ctx, backlog{c.size(1_500_000), 120, maxLength})
}

func measureClusterLargeBacklog(ctx context.Context, c *clusterLab) ([]verdict, error) {
	return c.measureBacklogs(ctx, backlog{c.size(30_000), 16 << 10, 100})
}

// measureBacklogs is a stream on each master that fell far behind.
func (c *clusterLab) measureBacklogs(ctx context.Context, b backlog) ([]verdict, error) {
	if err := c.seedTemplates(ctx, b.entries, b.bytesEach); err != nil {
		return nil, err
	}
	fresh := func(ctx context.Context) error {
		return c.copyTemplates(ctx, 1)
	}
	ours := func(ctx context.Context) (int64, error) {
		report, err := c.trim(ctx, trim.Policy{MaxLength: b.keep})
		return report.EntriesRemoved, err
	}
	exact := func(ctx context.Context) (int64, error) {
		removed := make([]int64, len(c.Masters))
		err := c.each(ctx, func(ctx context.Context, master int, rdb *redis.Client) (err error) {
			removed[master], err = rdb.XTrimMaxLen(ctx, "stream:"+c.tagged(master, 0), b.keep).Result()
			return err
		})
		return sum(removed), err
	}
	r, err := c.interleave(ctx, c.idleSide(time.Second), c.backlogSide("ours", fresh, ours), c.backlogSide("exact", fresh, exact))
	if err != nil {
		return nil, err
	}
	return r.backlog(fmt.Sprintf("cluster: backlogs of %d × %d × %d B", len(c.Masters), b.entries, b.bytesEach)), nil
}

// tagged is the nth name of a stream on a master.
func (c *clusterLab) tagged(master, n int) string {
	return fmt.Sprintf("%scar-%07d", c.tags[master], n)
}

// seedTemplates makes one unlisted stream on each master.
func (c *clusterLab) seedTemplates(ctx context.Context, entries, bytesEach int) error {
	return c.each(ctx, func(ctx context.Context, master int, rdb *redis.Client) error {
		return seedGiant(ctx, rdb, c.tags[master]+template, entries, bytesEach)
	})
}

// copyTemplates gives each master so many fresh copies of its template and
// lists them and no others.
func (c *clusterLab) copyTemplates(ctx context.Context, copies int) error {
	if err := c.Client.Del(ctx, "streams").Err(); err != nil {
		return err
	}
	return c.each(ctx, func(ctx context.Context, master int, rdb *redis.Client) error {
		const chunk = 500
		for first := 0; first < copies; first += chunk {
			pipe, names := rdb.Pipeline(), []any{}
			for n := first; n < min(copies, first+chunk); n++ {
				name := c.tagged(master, n)
				names = append(names, name)
				pipe.Copy(ctx, "stream:"+c.tags[master]+template+"0000000", "stream:"+name, 0, true)
			}
			if _, err := pipe.Exec(ctx); err != nil {
				return fmt.Errorf("copying the template: %w", err)
			}
			if err := c.Client.SAdd(ctx, "streams", names...).Err(); err != nil {
				return fmt.Errorf("listing the copies: %w", err)
			}
		}
		return nil
	})
}

func sum(values []int64) (total int64) {
	for _, v := range values {
		total += v
	}
	return total
}

// measureClusterBusy is many streams on each master that each have a little
// too much.
func measureClusterBusy(ctx context.Context, c *clusterLab) ([]verdict, error) {
	if err := c.seedTemplates(ctx, busyKeep+busySurplus, busyBytes); err != nil {
		return nil, err
	}
	copies := c.size(4000)
	inputs := make([][]byte, len(c.Masters))
	for master := range inputs {
		var b bytes.Buffer
		for n := range copies {
			writeCommand(&b, fmt.Sprintf("XTRIM KEY MAXLEN ~ %d", busyKeep), "stream:"+c.tagged(master, n))
		}
		inputs[master] = b.Bytes()
	}
	ours := func(ctx context.Context) error {
		report, err := c.trim(ctx, trim.Policy{MaxLength: busyKeep})
		if want := int64(len(c.Masters) * copies * busySurplus); err == nil && report.EntriesRemoved != want {
			err = fmt.Errorf("removed %d entries, want %d", report.EntriesRemoved, want)
		}
		return err
	}
	naive := func(ctx context.Context) error {
		return c.each(ctx, func(ctx context.Context, master int, rdb *redis.Client) error {
			for n := range copies {
				if err := rdb.XTrimMaxLenApprox(ctx, "stream:"+c.tagged(master, n), busyKeep, 0).Err(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	r, err := c.interleave(ctx, c.idleSide(time.Second), c.busySide("ours", copies, ours), c.busySide("one a round trip", copies, naive),
		c.busySide("pipe", copies, func(ctx context.Context) error { return c.pipes(ctx, inputs) }))
	if err != nil {
		return nil, err
	}
	ourTime, naiveTime, pipeTime := r.median("ours", "s"), r.median("one a round trip", "s"), r.median("pipe", "s")
	work := fmt.Sprintf("cluster: %d × %d busy streams, %d × %d B each", len(c.Masters), copies, busySurplus, busyBytes)
	return []verdict{
		{work: work, ours: seconds(ourTime), other: seconds(naiveTime) + " naive", ratio: naiveTime / ourTime, unit: "× faster", bound: 1, atLeast: true,
			note: fmt.Sprintf("naive is a client for each master; redis-cli --pipe into each %s", seconds(pipeTime))},
		r.worse("ours", work+", neighbour's p99", 1),
	}, nil
}

// busySide trims fresh copies beside a neighbour.
func (c *clusterLab) busySide(name string, copies int, work func(context.Context) error) side {
	return side{name, func(ctx context.Context) (figures, error) {
		if err := c.copyTemplates(ctx, copies); err != nil {
			return nil, err
		}
		var took time.Duration
		seen, err := c.beside(ctx, func() error {
			started := time.Now()
			err := work(ctx)
			took = time.Since(started)
			return err
		})
		found := seen.figures()
		found["s"] = took.Seconds()
		return found, err
	}}
}
