package explain

import (
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/cleanup"
)

// maxJudged is how many sessions and fates a [Judgement] keeps beside those of the
// streams that it always keeps: a few MiB.
const maxJudged = 10_000

// Judgement is what a run of clean-up makes of sessions and streams, so that a page
// can tell of it without a scan. One goroutine fills it; then it does not change.
type Judgement struct {
	always  func(stream string) bool
	streams map[string]*judged
	left    int
	// dropped: something was not kept.
	dropped bool
}

// judged is what clean-up made of a stream.
type judged struct {
	sessions []Session
	named    int64
	fate     *Fate
	// restored says why its name was listed again.
	restored string
}

// NewJudgement begins one. The streams of which always says so are kept, however
// many there are.
func NewJudgement(always func(stream string) bool) *Judgement {
	return &Judgement{always: always, streams: make(map[string]*judged), left: maxJudged}
}

// Session takes in what clean-up makes of a session.
func (j *Judgement) Session(s *registry.Session, is cleanup.State, reason string) {
	if !s.HasStream {
		return
	}
	of := j.keep(s.Stream)
	if of == nil {
		return
	}
	if of.named++; len(of.sessions) < maxSessions {
		of.sessions = append(of.sessions, sessionOf(s, is, reason))
	}
}

// Stream takes in what clean-up makes of a stream that no session names.
func (j *Judgement) Stream(f cleanup.StreamFacts, fate cleanup.StreamState, reason string) {
	if of := j.keep(f.Name); of != nil {
		of.fate = &Fate{f, fate, reason}
	}
}

// keep is where something of a stream is kept; nil if it is not.
func (j *Judgement) keep(stream string) *judged {
	of := j.streams[stream]
	if j.left <= 0 && !j.always(stream) {
		// Half of what there is to say of a stream would be wrong.
		j.dropped = true
		delete(j.streams, stream)
		return nil
	}
	j.left--
	if of == nil {
		of = new(judged)
		j.streams[strings.Clone(stream)] = of
	}
	return of
}

// Acted takes in what clean-up did.
func (j *Judgement) Acted(a cleanup.Action) {
	of := j.streams[a.Stream]
	switch {
	case a.Kind == cleanup.Restore:
		if of := j.keep(a.Stream); of != nil {
			of.restored = "it is listed again: " + a.Reason
		}
	case of == nil:
	case a.Kind == cleanup.Expire:
		of.expired(a.Session)
	case a.Kind == cleanup.Retire || a.Kind == cleanup.DropName:
		of.fate = nil
	}
}

func (of *judged) expired(identity string) {
	for i, s := range of.sessions {
		if s.Identity == identity {
			of.sessions = append(of.sessions[:i], of.sessions[i+1:]...)
			break
		}
	}
	of.named--
}

// of is what clean-up made of a stream; known is false where that was not kept.
func (j *Judgement) of(stream string) (of judged, known bool) {
	if found := j.streams[stream]; found != nil {
		return *found, true
	}
	return judged{}, !j.dropped
}
