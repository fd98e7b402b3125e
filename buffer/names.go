package buffer

import (
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// Names are the keys of the stream buffer and of streamkeeper's own state.
type Names struct {
	// Streams is the Set of all stream names.
	Streams string
	// StreamPrefix and a name make the key of a stream.
	StreamPrefix string
	// Sessions is the Hash of the sessions. The keys that hold one session each
	// begin with it.
	Sessions string
	// StatePrefix begins every key that streamkeeper writes for itself.
	StatePrefix string
}

// DefaultNames are the names in the RTA documentation.
var DefaultNames = Names{
	Streams:      "streams",
	StreamPrefix: "stream:",
	Sessions:     "sessions",
	StatePrefix:  "streamkeeper:",
}

// StreamKey is the key of the stream with that name.
func (n Names) StreamKey(name string) string { return n.StreamPrefix + name }

// StreamOf is the name of the stream that a key may be of, as somebody may give it where
// a name is wanted; false for none.
func (n Names) StreamOf(key string) (name string, ok bool) {
	name, ok = strings.CutPrefix(key, n.StreamPrefix)
	return name, ok && name != "" && name != key
}

// Escape writes a name so that it can be shown; see [escape.Name].
func Escape(name string) string { return escape.Name(name) }

// Quote is [Escape] in quotation marks, for errors and sentences.
func Quote(name string) string { return escape.Quote(name) }

// Unescape reads what [Escape] wrote; see [escape.Parse].
func Unescape(text string) (string, error) { return escape.Parse(text) }
