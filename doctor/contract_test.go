package doctor

import (
	"slices"
	"testing"
)

// promised are the checks that the documentation of the command promises, by what
// each is about. Nothing may get lost when a check is renamed or taken apart.
func promised() map[Group]map[string][]string {
	return map[Group]map[string][]string{
		Connection: {
			"target":                             {"database"},
			"version supported":                  {"version"},
			"role":                               {"role"},
			"TLS":                                {"encryption"},
			"time difference":                    {"clock"},
			"round trip":                         {"round-trip"},
			"every right that enabled jobs need": {"rights"},
		},
		Redis: {
			"maxmemory set":                        {"maxmemory"},
			"eviction policy":                      {"eviction"},
			"memory now and at the present growth": {"memory"},
			"node size limits":                     {"node-size"},
			"persistence errors":                   {"persistence"},
			"other trimmers at work":               {"other-trimmers"},
			"memory in groups":                     {"group-memory"},
		},
		Streams: {
			"a key of the right type":       {"stream-type", "stream-missing"},
			"names that carry the prefix":   {"stream-prefix"},
			"unlisted streams":              {"stream-unlisted"},
			"ids that are times":            {"stream-ids"},
			"more than 10 sessions at once": {"stream-shared"},
			"more new than retired":         {"stream-churn"},
		},
		Sessions: {
			"fields":                               {"session-fields", "session-value", "session-foreign", "session-id"},
			"times in the right unit":              {"session-time", "session-time-name"},
			"the name is a listed stream":          {"session-stream"},
			"position well formed":                 {"session-position"},
			"json present":                         {"session-json"},
			"json valid":                           {"session-json-valid"},
			"identity equal to the key":            {"session-identity"},
			"state known":                          {"session-state"},
			"tStart and tEnd":                      {"session-range"},
			"updated while messages arrive":        {"session-updated"},
			"closed in the end":                    {"session-closed"},
			"entries that expire by themselves":    {"session-expiry"},
			"a streamName that carries the prefix": {"session-prefix"},
			"messages of its id exist":             {"session-messages"},
			"two sessions with one id":             {"session-twins"},
			"one session, first message to last":   {"record-complete", "record-start", "record-end", "record-range", "record-order"},
		},
		Counter: {
			"a number":   {"counter-number"},
			"not behind": {"counter-behind"},
		},
		Messages: {
			"verdicts of samples":        {"message-valid", "message-advice"},
			"without id or data":         {"message-fields"},
			"ids that no session has":    {"message-session"},
			"size against 64 KiB, 1 MiB": {"message-size", "message-limit"},
			"rate":                       {"message-rate"},
		},
		Retention: {
			"policies that match nothing":              {"policy-unused"},
			"limits that keep less than the flush gap": {"flush-gap"},
			"coverage of each stream":                  {"coverage"},
			"streams that cannot be trimmed and why":   {"trim-blocked"},
			"what the memory affords":                  {"retention-afforded"},
		},
		Ourselves: {
			"two installations with one STATE_PREFIX": {"instances"},
			"lease":                    {"lease"},
			"pauses":                   {"pauses"},
			"history on":               {"history"},
			"last success of each job": {"jobs-overdue"},
			"our own keys":             {"state-keys"},
		},
	}
}

func TestTheChecksAreThoseThatArePromised(t *testing.T) {
	var want, got []string
	for group, subjects := range promised() {
		for _, ids := range subjects {
			for _, id := range ids {
				want = append(want, string(group)+"/"+id)
			}
		}
	}
	for _, c := range Checks() {
		got = append(got, string(c.Group)+"/"+c.ID)
		if c.Rule == "" || c.Source == "" || c.Remedy == "" {
			t.Errorf("%s: rule %q, source %q, remedy %q", c.ID, c.Rule, c.Source, c.Remedy)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the checks are\n%q\nwant\n%q", got, want)
	}
}
