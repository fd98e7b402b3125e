package jobs

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// Result is what one run of a job did. As JSON it is what `once` prints.
type Result interface {
	// Outcome is how the run ended.
	Outcome() Head
	// Sentence says to a person what the run did, or would do in a dry run.
	Sentence(dryRun bool) string
	// Remark is what else there is to say, in a sentence of its own; "" for
	// nothing.
	Remark() string
	// Found is how many streams, sessions and messages there were to look at.
	Found() int64
	// Failed is how many single items failed.
	Failed() int64
	// Stopped is why the mass-deletion guard stopped the run; "" if it did not.
	Stopped() string
	// LogTo says in the log what the run did, or would do in a dry run, in
	// figures.
	LogTo(log *slog.Logger, dryRun bool)

	head() *Head
}

// Head is what all results begin with.
type Head struct {
	Job     string  `json:"job"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	// Error is why the run failed; "" if it did not.
	Error string `json:"error"`
	// Class is the kind of that error.
	Class redisconn.Class `json:"-"`
	// Paused is the pause that stopped the run, "" if none did.
	Paused string `json:"paused,omitempty"`

	// pauses are those of some streams.
	pauses []string
	// passedOver is how many streams the run did not look at, as they are paused.
	passedOver int64
}

// Idle reports whether a run looked at nothing, as everything is paused.
func Idle(r Result) bool { return r.Found() == 0 && r.head().passedOver > 0 }

// NothingFound reports whether runs looked for what there is, and there was nothing.
func NothingFound(results []Result) bool {
	for _, r := range results {
		if !r.Outcome().OK || r.Found() > 0 || Idle(r) {
			return false
		}
	}
	return len(results) > 0
}

// Pauses says in words what of the job is paused.
func (h Head) Pauses() string {
	if h.Paused != "" {
		return h.Paused
	}
	const most = 3
	text := strings.Join(h.pauses[:min(most, len(h.pauses))], "; ")
	if more := len(h.pauses) - most; more > 0 {
		text += fmt.Sprintf("; and %d pauses more", more)
	}
	return text
}

// Outcome implements [Result].
func (h *Head) Outcome() Head { return *h }

// Remark implements [Result].
func (*Head) Remark() string { return "" }

// Stopped implements [Result].
func (*Head) Stopped() string { return "" }

func (h *Head) head() *Head { return h }

func (h *Head) took() time.Duration { return time.Duration(h.Seconds * float64(time.Second)) }

// finish notes how the run ended.
func (h *Head) finish(job string, took time.Duration, err error) {
	h.Job, h.OK, h.Seconds = job, err == nil, took.Round(time.Microsecond).Seconds()
	if err != nil {
		h.Error, h.Class = err.Error(), redisconn.ClassOf(err)
	}
}

func failures(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %s failed", human.Count(n))
}

// plural is a number of things.
func plural(n int64, noun string) string {
	if n != 1 {
		if base, ok := strings.CutSuffix(noun, "y"); ok {
			noun = base + "ies"
		} else {
			noun += "s"
		}
	}
	return human.Count(n) + " " + noun
}

// logIncomplete says of a run that failed or was paused what it did, and whether it
// was so: only of another may be said that all was done.
func (h *Head) logIncomplete(log *slog.Logger, figures []any) bool {
	switch {
	case !h.OK:
		log.Warn("run incomplete", figures...)
	case h.Paused != "":
		// That it is paused is said once.
		log.Debug("paused", figures...)
	}
	return !h.OK || h.Paused != ""
}
