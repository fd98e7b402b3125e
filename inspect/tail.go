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
}

// begin sets out from the end of a stream, or from where it is asked to.
func (t *tail) begin(at buffer.Tailed, since Since) {
	t.there = at.Exists
	t.last, t.end, t.added = at.LastID, at.LastID, at.Added
	if !at.Exists {
		t.added = 0 // whatever comes will be new
	}
	if since.given {
		t.last, t.added = before(since.from), -1
		t.floor = t.last
	}
}

// advance takes in what was read, and tells how many entries went before they
// were seen, as far as that can be known, and whether the stream has gone back:
// a replica that took over had not got all, or somebody made the stream anew.
// Entries that were there then are not shown again.
func (t *tail) advance(got buffer.Tailed) (missed int64, back bool) {
	if !got.Exists {
		// If it comes back, all that is in it will be new.
		t.last, t.end, t.added, t.there = t.floor, buffer.ID{}, 0, false
		if t.floor != (buffer.ID{}) {
			t.added = -1
		}
		return 0, false
	}
	t.there = true
	if n := len(got.Entries); n > 0 {
		t.last = got.Entries[n-1].ID
		if t.added >= 0 {
			t.added += int64(n)
		}
	}
	if got.More {
		return 0, false
	}
	if back = got.LastID.Less(t.end); back {
		t.last = got.LastID
	} else if got.Added > t.added && t.added >= 0 {
		missed = got.Added - t.added
	}
	t.end, t.added = got.LastID, got.Added
	return missed, back
}

// asks are the questions for what came to streams.
func asks(tails []*tail, count int, bytes int64) []buffer.Tail {
	all := make([]buffer.Tail, len(tails))
	for i, t := range tails {
		all[i] = buffer.Tail{Stream: t.stream, After: t.last, MaxCount: count, MaxBytes: bytes}
	}
	return all
}
