package redisconn

import "time"

// Bounds of a page of a Hash, in entries; see [Pager].
const (
	firstPage = 20
	leastPage = 10
	// pageBytes is what a page should not exceed: where the entries are big, the
	// pages get fewer of them; the first shows how big.
	pageBytes = 512 << 10
)

// Pager finds how many entries a page may have so that reading it blocks
// Redis for no longer than a stall. It begins small. What the way to Redis and
// back takes is not Redis's time, so the quickest page is taken off; and as
// other programs only ever make a page seem slower, several in a row have to be
// slow to be believed.
type Pager struct {
	stall time.Duration
	most  int

	count int
	trip  time.Duration
	slow  int
}

// slowPages in a row make the next ones half as large.
const slowPages = 3

// NewPager begins with a small page; most bounds the later ones.
func NewPager(stall time.Duration, most int) *Pager {
	return &Pager{stall: stall, most: most, count: min(firstPage, most), trip: time.Hour}
}

// Count is how many entries the next page may have.
func (p *Pager) Count() int { return p.count }

// Took tells the Pager how long a page took, and what was in it.
func (p *Pager) Took(took time.Duration, entries, bytes int) {
	p.trip = min(p.trip, took)
	switch busy := took - p.trip; {
	case busy > p.stall:
		if p.slow++; p.slow >= slowPages {
			p.count, p.slow = max(leastPage, p.count/2), 0
		}
	case busy < p.stall/2:
		p.count, p.slow = p.count*2, 0
	default:
		p.slow = 0
	}
	p.count = min(p.count, p.most)
	if bytes > 0 {
		p.count = min(p.count, max(1, entries*pageBytes/bytes))
	}
}
