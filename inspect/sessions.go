package inspect

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

const (
	// maxExamples is how many sessions a hint names.
	maxExamples = 3
	// maxStrays bounds the sessions without a stream that are looked after.
	maxStrays = 1000
)

// sessionID brings the id of a session, in a message or in the registry, into
// the form that is compared.
func sessionID(text string) (id string, ok bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return "", false
	}
	return strconv.FormatUint(n, 10), true
}

// crossCheck compares what was read of the streams with the sessions: all of
// them are walked over once, and nothing of a session is kept but what a hint
// is going to say.
func (r *run) crossCheck(ctx context.Context, whole bool) error {
	known := make(map[string]bool)
	for _, s := range r.summaries {
		for _, id := range s.sessionIDs {
			known[id] = false
		}
	}
	var strays []registry.Session
	err := r.store.WalkSessions(ctx, func(page []registry.Session) error {
		for _, session := range page {
			if session.Foreign {
				continue
			}
			if id, ok := sessionID(session.ID); ok {
				if _, seen := known[id]; seen {
					known[id] = true
				}
			}
			if !session.HasStream {
				continue
			}
			if s := r.summaries[session.Stream]; s != nil {
				s.meet(session)
			} else if whole && len(strays) < maxStrays && r.store.Owns(session.Stream) {
				strays = append(strays, session)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range r.summaries {
		s.compare(known)
	}
	return r.hintStrays(ctx, strays)
}

// meet notes a session that names the stream.
func (s *Summary) meet(session registry.Session) {
	s.Sessions++
	id, ok := sessionID(session.ID)
	if !ok || slices.Contains(s.sessionIDs, id) {
		return
	}
	if s.silentCount++; len(s.silent) < maxExamples {
		s.silent = append(s.silent, session.Identity)
	}
}

// compare says what of the stream and the sessions does not go together, as
// far as the samples can tell.
func (s *Summary) compare(known map[string]bool) {
	var unknown []string
	for _, id := range s.sessionIDs {
		if !known[id] {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		s.hint("no session has the id of some messages: %s", examples(unknown, int64(len(unknown))))
	}
	switch {
	case s.silentCount == 0:
	case s.complete():
		s.hint("no message belongs to session %s", examples(s.silent, s.silentCount))
	case s.Sessions <= s.Messages:
		// With more sessions than samples, some must come away empty-handed.
		s.hint("none of the %s messages that were read, of %s, belongs to session %s",
			human.Count(s.Messages), human.Count(s.Length), examples(s.silent, s.silentCount))
	}
	if s.Sessions > ManySessions {
		s.hint("%s sessions share the stream: who wants one of them is sent all", human.Count(s.Sessions))
	}
}

// hintStrays names sessions whose stream was not come upon, if there is
// nothing in it.
func (r *run) hintStrays(ctx context.Context, strays []registry.Session) error {
	names := make([]string, len(strays))
	for i, s := range strays {
		names[i] = s.Stream
	}
	lengths, err := r.store.Lengths(ctx, names)
	if err != nil {
		return err
	}
	for i, s := range strays {
		if lengths[i].Err == nil && lengths[i].Entries == 0 {
			r.report.Hints = append(r.report.Hints, fmt.Sprintf("session %s names stream %s, which has no message",
				quoted(s.Identity), quoted(s.Stream)))
		}
	}
	return nil
}

// examples lists a few names out of count.
func examples(names []string, count int64) string {
	list := make([]string, 0, maxExamples)
	for _, name := range names[:min(len(names), maxExamples)] {
		list = append(list, quoted(name))
	}
	text := strings.Join(list, ", ")
	if more := count - int64(len(list)); more > 0 {
		text += " and " + human.Count(more) + " more"
	}
	return text
}

func quoted(name string) string { return `"` + buffer.Escape(name) + `"` }
