// Package logsink takes what is logged and never makes its writer wait: work
// goes on whether or not somebody reads the log.
package logsink

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// DefaultLimit holds some thousand lines, enough for a reader that is slow and
// too little to be felt.
const DefaultLimit = 1 << 20

// Sink hands what is written to it on to a writer that may block. While that
// does, it keeps so many bytes, and counts the lines for which there is no
// room. Make one with [New].
type Sink struct {
	w     io.Writer
	limit int
	// more says that there is something to hand on, and written that something
	// was; each holds one token at most.
	more, written chan struct{}

	mu      sync.Mutex // guards what follows
	queue   [][]byte   // one for each Write; the first may be under way
	size    int        // bytes in the queue
	closed  bool
	dropped int64
	told    int64 // of dropped, how many the reader knows of
	listen  func(lines int64)
	notice  func(lines int64) []byte
}

// New makes a sink over w that keeps at most limit bytes.
func New(w io.Writer, limit int) *Sink {
	s := &Sink{w: w, limit: limit, more: make(chan struct{}, 1), written: make(chan struct{}, 1)}
	go s.handOn()
	return s
}

// Write takes a line, or drops it where there is no room. It never blocks and
// never fails.
func (s *Sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.size+len(line) > s.limit {
		s.drop()
		return len(line), nil
	}
	s.queue = append(s.queue, bytes.Clone(line))
	s.size += len(line)
	token(s.more)
	return len(line), nil
}

// drop is called with mu held.
func (s *Sink) drop() {
	s.dropped++
	if s.listen != nil {
		s.listen(1)
	}
}

// OnDropped sets who hears how many lines were dropped; at once, if some were.
// It must not block.
func (s *Sink) OnDropped(listen func(lines int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listen = listen
	if s.dropped > 0 {
		listen(s.dropped)
	}
}

// Notice sets the line that tells a reader who reads again how many lines it
// missed.
func (s *Sink) Notice(notice func(lines int64) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notice = notice
}

// Drain waits until everything is written. It gives up when nothing was for as
// long as patience, or when ctx ends.
func (s *Sink) Drain(ctx context.Context, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !s.empty() {
		select {
		case <-s.written:
			timer.Reset(patience)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (s *Sink) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) == 0
}

// Close ends the sink; what is not written by then is lost.
func (s *Sink) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.queue = true, nil
	token(s.more)
}

// handOn writes one line after the other.
func (s *Sink) handOn() {
	for range s.more {
		for {
			line, ok := s.next()
			if !ok {
				break
			}
			_, err := s.w.Write(line)
			s.done(len(line), err)
		}
		if s.ended() {
			return
		}
	}
}

func (s *Sink) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Sink) next() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil, false
	}
	return s.queue[0], true
}

// done takes a line off the queue, and puts the notice in front of the others
// where the reader does not know yet what it missed.
func (s *Sink) done(size int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer token(s.written)
	if s.closed {
		return
	}
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.size -= size
	if err != nil {
		s.drop()
		return
	}
	if missed := s.dropped - s.told; missed > 0 && s.notice != nil {
		s.told = s.dropped
		line := s.notice(missed)
		s.queue = append([][]byte{line}, s.queue...)
		s.size += len(line)
	}
}

// token leaves one token in a channel.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
