package buffer

import "time"

// Bounds of a page of a Hash, in entries; see pager.
const (
	firstPage = 20
	leastPage = 10
	// pageBytes is what a page should not exceed: where the entries are big, the
	// pages get fewer of them; the first shows how big.
	pageBytes = 512 << 10
)

// pager finds how many entries a page may have so that reading it holds Redis
// up for no longer than a stall. It begins small. What the way to Redis and
// back takes is not Redis's time, so the quickest page is taken off; and as
// other programs only ever make a page seem slower, several in a row have to be
// slow to be believed.
type pager struct {
	stall time.Duration
	most  int

	count int
	trip  time.Duration
	slow  int
}

// slowPages in a row make the next ones half as large.
const slowPages = 3

func newPager(stall time.Duration, most int) *pager {
	return &pager{stall: stall, most: most, count: min(firstPage, most), trip: time.Hour}
}

// took tells the pager how long a page took, and what was in it.
func (p *pager) took(took time.Duration, entries, bytes int) {
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
