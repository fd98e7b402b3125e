package inspect

import (
	"strconv"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// maxExamples is how many names a sentence has.
const maxExamples = 3

// sessionID brings the id of a session, in a message or on the command line, into
// the form that is compared.
func sessionID(text string) (id string, ok bool) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return "", false
	}
	return strconv.FormatUint(n, 10), true
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
