// Package demo is what `streamkeeper demo` plays: a Redis embedded in the
// program, synthetic producers that fill it as real ones would, and a story
// that says in a line each what streamkeeper did about them.
//
// The producers follow the RTA documentation ("Streaming to Redis"): bursts at
// 10 Hz a session, a counter for session ids, and an entry of the registry for
// each session. Some of them die, go quiet for a while or write rubbish, so
// that everything streamkeeper is for happens within [Length].
package demo

import (
	"strconv"
	"time"
)

// Prefix begins every stream name and session identity of the demo.
const Prefix = "demo/"

// Length is how long the demo takes to show everything.
const Length = 20 * time.Second

// MaxLength is how many entries the demo keeps in a stream: ten seconds of one
// session.
const MaxLength = 100

// The demo's periods and ages, in the proportions of the defaults.
const (
	trimEvery    = time.Second
	cleanEvery   = 2 * time.Second
	inspectEvery = 3 * time.Second
	meterEvery   = time.Second
	expireAfter  = 6 * time.Second
	retireAfter  = 8 * time.Second
)

// Setting is a setting by its name without the prefix, and its value as text.
type Setting struct{ Name, Value string }

// Limits are the settings under which the demo shows everything within
// [Length].
func Limits() []Setting {
	return []Setting{
		{"TRIM_SCHEDULE", "@every " + trimEvery.String()},
		{"TRIM_MAX_LENGTH", strconv.Itoa(MaxLength)},
		{"CLEANUP_SCHEDULE", "@every " + cleanEvery.String()},
		{"CLEANUP_EXPIRE_AFTER", expireAfter.String()},
		{"CLEANUP_RETIRE_AFTER", retireAfter.String()},
		{"CLEANUP_ALLOW_TINY", "true"},
		{"INSPECT_SCHEDULE", "@every " + inspectEvery.String()},
		{"METRICS_INTERVAL", meterEvery.String()},
	}
}
