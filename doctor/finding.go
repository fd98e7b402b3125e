package doctor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/streamkeeper/streamkeeper/internal/escape"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// maxExamples is how many a finding names.
const maxExamples = 3

// Example is one of what a finding is about. Its texts are escaped.
type Example struct {
	Name   string `json:"name"`
	Detail string `json:"detail,omitempty"`
}

// Finding is what a check says.
type Finding struct {
	Check    string   `json:"check"`
	Group    Group    `json:"group"`
	Severity Severity `json:"severity"`
	// Text is the finding in a sentence.
	Text string `json:"finding"`
	// Count is how many there are, 0 where it is about the whole.
	Count    int64     `json:"count"`
	Examples []Example `json:"examples"`
	Rule     string    `json:"rule"`
	Source   string    `json:"source"`
	Remedy   string    `json:"remedy"`
}

// outcome gathers what one check finds.
type outcome struct {
	check *Check
	// rule is the command that prints the rights that it needs.
	rule     string
	severity Severity
	text     string
	count    int64
	examples []Example
	// more: the reading ended at its bounds, and there may be more than were counted.
	more bool
	// remedy is what to do where it is not that of the check.
	remedy string
	// seen are a few names that were counted: a scan may come upon one twice.
	seen map[string]bool
}

// found counts one thing of which the check names the first few. Detail may be
// empty; names in it are escaped, as [quote] does.
func (o *outcome) found(s Severity, name, detail string) {
	if o.seen[name] {
		return
	}
	if len(o.seen) < maxSeen {
		if o.seen == nil {
			o.seen = make(map[string]bool)
		}
		o.seen[strings.Clone(name)] = true
	}
	o.count++
	o.worsen(s)
	if len(o.examples) < maxExamples {
		o.examples = append(o.examples, Example{escape.Name(shortened(name)), escape.Text(shortened(detail))})
	}
}

// maxSeen bounds the names that are known to have been counted.
const maxSeen = 1000

// says is a finding about the whole, in a sentence; [OK] only says how it is.
func (o *outcome) says(s Severity, format string, args ...any) {
	o.worsen(s)
	o.text = fmt.Sprintf(format, args...)
}

// unknown says why a check could not be made, unless something was found all the
// same. Nothing is to be done about the rule then, but about the reason.
func (o *outcome) unknown(err error) {
	if o.severity != OK {
		return
	}
	o.says(Advice, "not known: %v", err)
	o.remedy = "See why Redis does not tell, and run doctor again."
	if isDenied(err) {
		o.remedy = "Grant the Redis user the right: " + o.rule + " prints all that are needed here."
	}
}

// The commands that print what the daemon and what the doctor need.
const (
	ruleOfJobs   = "streamkeeper acl"
	ruleOfReader = "streamkeeper acl --read-only"
)

func (o *outcome) worsen(s Severity) {
	if s.rank() > o.severity.rank() {
		o.severity = s
	}
}

// finding puts into words what was found.
func (o *outcome) finding() Finding {
	c := o.check
	f := Finding{
		Check: c.ID, Group: c.Group, Severity: o.severity, Text: o.text, Count: o.count, Examples: o.examples,
		Rule: c.Rule, Source: c.Source, Remedy: c.Remedy,
	}
	switch {
	case o.remedy != "":
		f.Remedy = o.remedy
	case o.count > 0:
		f.Text = human.Plural(o.count, c.Noun) + " " + c.Found
		if o.more {
			f.Text = "at least " + f.Text
		}
	case f.Text == "":
		f.Text = c.Good
	}
	if f.Examples == nil {
		f.Examples = []Example{}
	}
	return f
}

// shortened is the beginning of a text that may have any length.
func shortened(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	end := most
	for end > most-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// quote is a name, or the beginning of a long one, escaped and in quotation marks.
func quote(name string) string { return escape.Quote(shortened(name)) }

// about writes a number that people estimate.
func about(x float64) string {
	switch {
	case x >= 10:
		return human.Count(int64(x + 0.5))
	case x >= 1:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
