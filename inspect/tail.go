package inspect

import "github.com/streamkeeper/streamkeeper/buffer"

// tail is how far one stream has been read.
type tail struct {
	stream string
	// there says that the stream existed when it was last looked at, and floor is
	// the id after which it was asked for.
	there bool
	floor buffer.ID
	// last is the id after which it goes on.
	last buffer.ID
	// end is the last id that the stream was known to have.
	end buffer.ID
	// added is how many entries the stream had been given up to last, as far as
	// they were seen or are accounted for; -1 while that is not known.
	added int64
	// read is how many entries were read since all was last read, and waiting how
	// many more there were at the last look, at least.
	read, waiting int64
	// maybe says that it was said that entries may have gone.
	maybe bool
}

// begin sets out from the end of a stream, or from where it is asked to.
func (t *tail) begin(at buffer.TailResult, since Since) {
	t.there = at.Exists
	t.last, t.end, t.added = at.LastID, at.LastID, at.Added
	if !at.Exists {
		t.added = 0 // whatever comes will be new
	}
	if since.given {
		t.last, t.added = before(since.from), -1
		t.floor = t.last
		if at.Length > 0 && t.last.Less(at.LastID) {
			t.waiting = 1
		}
		if at.Added >= 0 && t.last.Less(at.Oldest) { // all that there is
			t.added, t.waiting = at.Added-at.Length, at.Length
		}
	}
}

// fate is what became of a stream between two looks.
type fate int

const (
	goesOn fate = iota
	// cutOff: entries went before they were seen.
	cutOff
	// mayBeCutOff: all that was known went, which is not told from more that
	// went with it where the server does not count what was added.
	mayBeCutOff
	// removed: there is no such key any more.
	removed
	// replaced: another one took its place, be it that somebody made it anew, or
	// that a replica took over which had not got all. What came to the former one
	// after it was last looked at is not known.
	replaced
	// wentBack is replaced by one that ends earlier: entries that were there then
	// are not shown again.
	wentBack
)

// advance takes in what was read, and tells what became of the stream, and how
// many entries went before they were seen, as far as that is known.
func (t *tail) advance(got buffer.TailResult) (became fate, missed int64) {
	waiting, began := t.waiting, t.last
	if !got.Exists {
		was := t.there
		// If it comes back, all that is in it will be new.
		*t = tail{stream: t.stream, floor: t.floor, last: t.floor, maybe: t.maybe}
		if t.floor != (buffer.ID{}) {
			t.added = -1
		}
		if was {
			return removed, waiting
		}
		return goesOn, 0
	}
	known := t.there && !t.end.IsZero() && t.last == t.end // all of it was read
	t.there = true
	n := int64(len(got.Entries))
	t.read += n
	if n > 0 {
		t.last = got.Entries[n-1].ID
		if t.added >= 0 {
			t.added += n
		}
	}
	if got.More {
		t.waiting = 1
		if t.added >= 0 && got.Added > t.added {
			t.waiting = got.Added - t.added
		}
		return goesOn, 0
	}
	switch counted := t.added >= 0 && got.Added >= 0; {
	case got.LastID.Less(t.end):
		became, missed, t.last = wentBack, waiting, got.LastID
	case counted && got.Added < t.added:
		became, missed = replaced, waiting+max(0, got.Added-t.read)
	case counted && got.Added > t.added:
		became, missed = cutOff, got.Added-t.added
	case got.Added < 0 && known && began.Less(got.LastID) && began.Less(got.Oldest) && !t.maybe:
		became, t.maybe = mayBeCutOff, true
	}
	t.end, t.added, t.read, t.waiting = got.LastID, got.Added, 0, 0
	return became, missed
}

// asks are the questions for what came to streams.
func asks(tails []*tail, count int, bytes int64) []buffer.TailRequest {
	all := make([]buffer.TailRequest, len(tails))
	for i, t := range tails {
		all[i] = buffer.TailRequest{Stream: t.stream, After: t.last, MaxCount: count, MaxBytes: bytes}
	}
	return all
}
