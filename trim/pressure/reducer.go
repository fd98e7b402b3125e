package pressure

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/trim"
)

// Store is what reducing retention needs of the stream buffer.
type Store interface {
	WalkStreams(ctx context.Context, visit func(names []string) error) error
	NodeOf(ctx context.Context, stream string) (string, error)
	Lengths(ctx context.Context, names []string) ([]buffer.Length, error)
	Sizes(ctx context.Context, names []string) ([]int64, error)
	LastIDs(ctx context.Context, names []string) ([]buffer.LastID, error)
	Infos(ctx context.Context, names []string) ([]buffer.StreamInfo, error)
	EntryMemories(ctx context.Context, names []string) ([]buffer.EntryMemory, error)
	EstimateEntryMemory(ctx context.Context, name string, counted buffer.EntryMemory) (buffer.EntryMemory, error)
	Memories(context.Context) ([]buffer.NodeMemory, error)
}

// Target is a stream that is to keep less.
type Target struct {
	Stream string
	// Keep and Length are numbers of entries, and EntryBytes is roughly what
	// one takes.
	Keep, Length, EntryBytes int64
	// Why says in words why it keeps less.
	Why string
}

// Run is what one run gives a [Reducer] to work with.
type Run struct {
	Store    Store
	Policies trim.Policies
	// Nodes are the limits of macro nodes.
	Nodes buffer.NodeLimits
	// Share is the part of maxmemory above which streams keep less.
	Share float64
	// Now is Redis's time.
	Now time.Time
	// Late reports that the run's time is up.
	Late func() bool
	// Trim removes entries, and says how many each stream lost. The error says
	// what broke it off.
	Trim func(context.Context, []Target) (map[string]int64, error)
	// Before, if set, is how full the nodes were before the run, for words: the
	// store of a plan is ahead of what Redis says.
	Before []buffer.NodeMemory
	Log    *slog.Logger
}

// Reducer is what is remembered of memory from run to run. An instance that
// starts anew knows of no stream that keeps less: if Redis still is near its
// maxmemory, it finds them again. It is not safe for concurrent use.
type Reducer struct {
	reduced map[string]Reduction
	// tight are the nodes on which retention is reduced.
	tight map[string]bool
	// complaint is why memory cannot count, as it was said last.
	complaint *string
	// spent: the last run found that nothing more may go.
	spent bool
	// planning: nothing is really removed, and so nothing is logged.
	planning bool
}

// NewReducer makes a reducer under which streams keep what their policies say.
func NewReducer() *Reducer {
	return &Reducer{reduced: make(map[string]Reduction), tight: make(map[string]bool), complaint: new(string)}
}

// ForPlan is a reducer that knows what this one does, and changes nothing in it.
func (d *Reducer) ForPlan() *Reducer {
	plan := *d
	plan.reduced, plan.tight, plan.planning = maps.Clone(d.reduced), maps.Clone(d.tight), true
	return &plan
}

// Reduction is what a stream keeps now; false if its policy alone says so.
func (d *Reducer) Reduction(stream string) (Reduction, bool) {
	r, reduced := d.reduced[stream]
	return r, reduced
}

// Reduced is how many streams keep less, and on how many nodes.
func (d *Reducer) Reduced() (streams, nodes int) { return len(d.reduced), len(d.tight) }

// Relieve makes streams keep less while a node uses more of its memory than it
// should, the largest first, until it does not or nothing more may go; and gives
// them retention back, a step a run. The error says what broke it off.
func (d *Reducer) Relieve(ctx context.Context, run Run) (Result, error) {
	log := run.Log
	if d.planning {
		log = slog.New(slog.DiscardHandler)
	}
	r := relief{in: run, d: d, log: log, found: make(map[string]bool), lost: make(map[string]int64)}
	nodes, err := r.memories(ctx)
	if err != nil || nodes == nil {
		return Result{}, err
	}
	r.before = nodes
	if len(run.Before) > 0 {
		r.before = byNode(run.Before)
	}
	result := Result{share: run.Share, before: fullest(r.before)}
	if err := r.relax(ctx, nodes); err != nil {
		return result, err
	}
	if err := r.keepReduced(ctx); err != nil {
		return result, err
	}
	nodes, err = r.free(ctx, nodes)
	result.after, result.streams = fullest(nodes), len(d.reduced)
	result.lost, result.freed = len(r.lost), r.freed
	result.Short = NextMove(result.after, run.Share) == Tighten
	return result, err
}

// memories is how full each node with a maxmemory is; nil if none is known.
func (r *relief) memories(ctx context.Context) (map[string]buffer.NodeMemory, error) {
	all, err := r.in.Store.Memories(ctx)
	if redisconn.ClassOf(err) == redisconn.ClassAuth {
		r.complain("the Redis user may not ask for the server's memory (+info)")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	unlimited := ""
	if slices.ContainsFunc(all, func(m buffer.NodeMemory) bool { return m.Limit <= 0 }) {
		unlimited = "Redis has no maxmemory"
	}
	r.complain(unlimited)
	return byNode(all), nil
}

func byNode(all []buffer.NodeMemory) map[string]buffer.NodeMemory {
	nodes := make(map[string]buffer.NodeMemory, len(all))
	for _, m := range all {
		nodes[m.Node] = m
	}
	return nodes
}

// complain says why memory cannot count, once.
func (r *relief) complain(why string) {
	if why != "" && why != *r.d.complaint {
		r.in.Log.Warn("memory-pressure trimming unavailable", "why", why)
	}
	*r.d.complaint = why
}

// relax says where pressure begins and ends, and gives one step back where there
// is room again.
func (r *relief) relax(ctx context.Context, nodes map[string]buffer.NodeMemory) error {
	reduced := make(map[string]int)
	for name, less := range r.d.reduced {
		node, err := r.in.Store.NodeOf(ctx, name)
		if err != nil {
			return err
		}
		if NextMove(nodes[node], r.in.Share) == Relax {
			var still bool
			if less, still = less.Relaxed(); !still {
				delete(r.d.reduced, name)
				continue
			}
			r.d.reduced[name] = less
		}
		reduced[node]++
	}
	for node, m := range nodes {
		switch next := NextMove(m, r.in.Share); {
		case next == Tighten && !r.d.tight[node]:
			r.d.tight[node] = true
			r.log.Warn("memory pressure, reducing retention", memoryOf(m, r.in.Share)...)
		case next == Relax && reduced[node] == 0 && r.d.tight[node]:
			delete(r.d.tight, node)
			r.log.Warn("memory pressure ended, full retention", memoryOf(m, r.in.Share)...)
		}
	}
	return nil
}

// pageSize is how many of the streams that keep less are looked at together.
const pageSize = 128

// keepReduced holds the streams that keep less to it. One that has gone, that was
// made anew with ids that are no times, or that is to keep everything by now, is
// forgotten.
func (r *relief) keepReduced(ctx context.Context) error {
	var targets []Target
	for page := range slices.Chunk(slices.Sorted(maps.Keys(r.d.reduced)), pageSize) {
		lengths, err := r.in.Store.Lengths(ctx, page)
		if err != nil {
			return err
		}
		last, err := r.in.Store.LastIDs(ctx, page)
		if err != nil {
			return err
		}
		for i, name := range page {
			less, length := r.d.reduced[name], lengths[i].Entries
			switch {
			case lengths[i].Err != nil, last[i].Err != nil, length == 0, !last[i].ID.IsTime(r.in.Now),
				r.in.Policies.For(name).KeepsAll():
				delete(r.d.reduced, name)
			case length > less.Keep:
				targets = append(targets, Target{name, less.Keep, length, less.EntryBytes, less.String()})
			}
		}
	}
	lost, err := r.in.Trim(ctx, targets)
	r.count(targets, lost)
	return err
}

// count adds up what streams lost.
func (r *relief) count(targets []Target, lost map[string]int64) {
	for _, t := range targets {
		if entries := lost[t.Stream]; entries > 0 {
			r.lost[t.Stream] += entries
			r.freed += entries * t.EntryBytes
		}
	}
}
