package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/inspect"
)

func followed() []inspect.Message {
	message := func(stream, session string, v burst.Verdict, e burst.Encoding, size int64, why ...inspect.Reason) inspect.Message {
		return inspect.Message{
			Stream: stream, ID: buffer.ID{Ms: 1_700_000_000_000, Seq: 3}, SessionID: session, Verdict: v, Encoding: e, Size: size,
			Reasons: why, Kinds: map[string]int{"session_json": 1, "time_range": 1, "timestamped_data": 3, "periodic_data": 2, "row_data": 4, "event": 1},
		}
	}
	return []inspect.Message{
		message("car 7", "12", burst.OK, burst.SizePrefixedBlock, 65536),
		message("a stream whose name is much too long \xff", "1234567890", burst.Warn, burst.Block, 1_500_000, "over_1_mib"),
		message("car 7\x1b[2J", "\x07\n", burst.Invalid, burst.Auto, 0, inspect.IDNotNumber, inspect.DataMissing),
	}
}

func TestFollowingWritesRowsUnderOneHeading(t *testing.T) {
	for name, streams := range map[string]int{"follow": 1, "follow-several": 2} {
		var out bytes.Buffer
		f := NewFollow(&out, Table, streams)
		if err := f.Add(nil); err != nil || out.Len() == 0 {
			t.Fatalf("as it begins it writes %q: %v", &out, err)
		}
		for _, m := range followed() {
			if err := f.Add([]inspect.Message{m}); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Finish(inspect.Report{Messages: 3, OK: 1, Warn: 1, Invalid: 1, Bytes: 70_000}); err != nil {
			t.Fatal(err)
		}
		compareGolden(t, name, out.Bytes())
	}
}

func TestFollowingWritesAnObjectALine(t *testing.T) {
	var out bytes.Buffer
	f := NewFollow(&out, JSON, 2)
	for _, messages := range [][]inspect.Message{nil, followed()} {
		if err := f.Add(messages); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Finish(inspect.Report{Messages: 3}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want 3:\n%s", len(lines), &out)
	}
	for i, line := range lines {
		var got struct{ Stream, Verdict string }
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Stream != buffer.Escape(followed()[i].Stream) {
			t.Errorf("line %d is %s: %v", i, line, err)
		}
	}
}
