package web

import (
	"net/url"
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/escape"
)

// streamsPath is where the pages of single streams begin.
const streamsPath = "streams/"

// longestLink is how long a link to a stream may be: requests for longer ones are
// refused, and a page holds fifty.
const longestLink = 600

// linkOf is the way from the page at the root to that of a stream, whose name is
// written as [escape.Name] writes it; empty where the name is too long. What
// browsers and proxies take for parts of a path is written as bytes.
func linkOf(name string) string {
	switch name {
	case ".", "..":
		name = `\x2e` + name[1:]
	default:
		name = strings.ReplaceAll(name, "/", `\x2f`)
	}
	if link := streamsPath + url.PathEscape(name); len(link) <= longestLink {
		return link
	}
	return ""
}

// nameOf reads the rest of such a path. It is plain where nothing in it looks like
// a part of the path.
func nameOf(rest string) (name string, plain bool, err error) {
	text, err := url.PathUnescape(rest)
	if err != nil {
		return "", false, err
	}
	name, err = escape.Parse(text)
	return name, !strings.Contains(rest, "/"), err
}

// longestShown is how many characters of a name a list shows.
const longestShown = 120

// shown is a name as a list shows it.
func shown(name string) string {
	if len(name) <= longestShown {
		return name
	}
	for i := range name {
		if i >= longestShown {
			return name[:i] + "…"
		}
	}
	return name
}

// quoted is a name as a shell takes it, as the argument of a command.
func quoted(name string) string { return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'" }
