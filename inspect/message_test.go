package inspect

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
)

func TestFieldsOfAMessageAreJudged(t *testing.T) {
	t.Parallel()
	data := string(payload(t, burst.Pickle, 1000))
	cases := []struct {
		name      string
		fields    []string
		verdict   burst.Verdict
		reasons   []Reason
		sessionID string
		size      bool // the payload was read
	}{
		{"as the documentation has it", []string{"id", "12", "data", data}, burst.OK, nil, "12", true},
		{"in another order", []string{"data", data, "id", "12"}, burst.OK, nil, "12", true},
		{"with a further field", []string{"id", "12", "data", data, "x", ""}, burst.Warn, []Reason{FieldUnknown}, "12", true},
		{"names in capitals are other names", []string{"ID", "12", "DATA", data}, burst.Invalid, []Reason{FieldUnknown, IDMissing, DataMissing}, "", false},
		{"with two ids the first counts", []string{"id", "1", "id", "2", "data", data}, burst.Warn, []Reason{FieldRepeated}, "1", true},
		{"with two payloads the first counts", []string{"id", "1", "data", data, "data", "rubbish"}, burst.Warn, []Reason{FieldRepeated}, "1", true},
		{"without an id", []string{"data", data}, burst.Invalid, []Reason{IDMissing}, "", true},
		{"with an empty id", []string{"id", "", "data", data}, burst.Invalid, []Reason{IDNotNumber}, "", true},
		{"with an id in words", []string{"id", "one", "data", data}, burst.Invalid, []Reason{IDNotNumber}, "one", true},
		{"with a negative id", []string{"id", "-1", "data", data}, burst.Invalid, []Reason{IDNotNumber}, "-1", true},
		{"without a payload", []string{"id", "1"}, burst.Invalid, []Reason{DataMissing}, "1", false},
		{"with an empty payload", []string{"id", "1", "data", ""}, burst.Invalid, []Reason{"empty"}, "1", false},
	}
	j := newJudge(Options{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var m Message
			j.fields(&m, c.fields, burst.Auto)
			if m.Verdict != c.verdict || !slices.Equal(m.Reasons, c.reasons) || m.SessionID != c.sessionID || m.Size > 0 != c.size {
				t.Errorf("%s %s, session %q, size %d", m.Verdict, m.Reasons, m.SessionID, m.Size)
			}
			for _, r := range m.Reasons {
				if !slices.Contains(AllReasons(), r) {
					t.Errorf("%s is not among all reasons", r)
				}
			}
		})
	}
}

func TestMessagesMarshalAsDocumented(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		m    Message
		want string
	}{
		{
			"of a stream",
			Message{
				Stream: "a\\b\xff", ID: buffer.ID{Ms: 5, Seq: 1}, SessionID: "7", Encoding: burst.SizePrefixedBlock,
				CompressedBytes: 10, Size: 20, Kinds: map[string]int{"session_json": 1},
			},
			`{"stream":"a\\\\b\\xff","id":"5-1","session_id":"7","verdict":"ok","reasons":[],"detail":null,"encoding":"size-prefixed-block","compressed_bytes":10,"size":20,"kinds":{"session_json":1}}`,
		},
		{
			"of the stream with the empty name",
			Message{Verdict: burst.Invalid, Reasons: []Reason{IDMissing, DataMissing}},
			`{"stream":"","id":"0-0","session_id":"","verdict":"invalid","reasons":["id_missing","data_missing"],"detail":null,"encoding":"","compressed_bytes":0,"size":0,"kinds":{}}`,
		},
		{
			"of a file, with its content",
			Message{File: "-", Verdict: burst.Warn, Reasons: []Reason{"over_1_mib"}, Content: &burst.Content{Data: []burst.DataContent{}}},
			`{"file":"-","id":"","session_id":"","verdict":"warn","reasons":["over_1_mib"],"detail":null,"encoding":"","compressed_bytes":0,"size":0,"kinds":{},"content":{"data":[]}}`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := json.Marshal(c.m)
			if err != nil || string(got) != c.want {
				t.Errorf("%s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestEncodingsAreRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	p := newEncodings()
	p.put("a", burst.Wrap)
	p.put("a", burst.Auto) // an invalid message says nothing
	if p.get("a") != burst.Wrap || p.get("b") != burst.Auto {
		t.Errorf("a %q, b %q", p.get("a"), p.get("b"))
	}
	for i := range 2 * maxEncodings {
		p.put(fmt.Sprint(i), burst.Block)
	}
	if len(p.seen) > maxEncodings {
		t.Errorf("%d streams remembered", len(p.seen))
	}
}
