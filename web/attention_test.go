package web

import (
	"os"
	"strings"
	"testing"
	"time"
)

// troubled has everything that needs attention.
func troubled() Status {
	s := quiet()
	s.Redis = Redis{Error: "refused", Refused: "a replica", Absence: "nothing there", Denied: "+xtrim"}
	full := 60.0
	s.Redis.Memory = Memory{Read: true, Used: 99, Max: 100, GrowthSeconds: 3600, Full: &full}
	s.NextCleanup = NextCleanup{Decided: now, Expire: 300, Brake: "300 of 409 sessions would expire", BrakeSince: now, BrakeUntil: now.Add(time.Hour), Lost: "the set of streams is empty"}
	s.Jobs[0].Result, s.Jobs[0].Error, s.Jobs[0].Overdue = "error", "broken", true
	s.Pauses = []Pause{{ID: "0a1b2c3d", What: "trim of rocket-*", Since: now, Until: now.Add(time.Hour), Reason: "test day"}}
	s.PausesUnknown, s.PoliciesError = "NOPERM", "line 3"
	s.Leader = Leader{Lease: "standby", Error: "NOPERM", Name: "pod-2/1"}
	s.Streams = streamsNamed("a", "b")
	s.Streams.Largest[0].Entries, s.Streams.Largest[0].Limit, s.Streams.Largest[1].Invalid = 1000, 10, 1
	return s
}

func TestWhatNeedsAttentionComesFirstAndEachIsALinkThatLeadsSomewhere(t *testing.T) {
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := strings.ToLower(string(manual))
	s := troubled()
	page := pageOf(t, s, "")
	if before, _, _ := strings.Cut(page, `<ul>`); strings.Contains(before, "<dl") || strings.Contains(before, "<table") {
		t.Error("something comes before what needs attention")
	}
	all := append(failed(healthOf(s).Checks), items(s)...)
	s.Leader.Lease = "unwritable"
	all = append(all, items(s)...)
	if len(all) < 20 {
		t.Errorf("%d items", len(all))
	}
	for _, it := range all {
		switch {
		case it.Away():
			if anchor := strings.TrimPrefix(it.Link, runbook); !strings.Contains(anchors, "\n### "+anchor+"\n") {
				t.Errorf("%s: the runbook has no section %s", it.Text, anchor)
			}
		case strings.HasPrefix(it.Link, "#"):
			if !strings.Contains(page, ` id="`+it.Link[1:]+`"`) {
				t.Errorf("%s: the page has no %s", it.Text, it.Link)
			}
		case !strings.HasPrefix(it.Link, "?show="):
			t.Errorf("%s: the link is %q", it.Text, it.Link)
		}
	}
	wantIn(t, page, "pause --job cleanup", "once --force cleanup", "streamkeeper resume 0a1b2c3d", "<bdi>pod-2/1</bdi> leads")
	s.Streams = Streams{}
	wantIn(t, pageOf(t, s, ""), "The leader, <bdi>pod-2/1</bdi>, reads the streams")
}
