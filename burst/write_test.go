package burst

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestAWrittenSessionJSONIsReadBackAsItWas(t *testing.T) {
	sessions := [][]byte{
		[]byte(`{"identity":"a","state":"abandoned"}`),
		[]byte(`{"identity":"a","state":44,"details":"` + strings.Repeat("lap ", 20_000) + `"}`),
		[]byte(`{"identity":"é \u00e9","state":"abandoned","timeRange":{"startTime":1763874856000000000,"endTime":1763874856100000000}}`),
	}
	for _, enc := range Encodings() {
		t.Run(enc.String(), func(t *testing.T) {
			for _, session := range sessions {
				data, err := PackSessionJSON(enc, session)
				if err != nil {
					t.Fatal(err)
				}
				for _, hint := range []Encoding{Auto, enc} {
					var c Checker
					result, content := c.Decode(data, hint)
					if result.Verdict != OK || result.Encoding != enc || content == nil || len(content.Data) != 1 ||
						!bytes.Equal(content.Data[0].SessionJSON, session) {
						t.Errorf("with hint %q: %+v, %+v", hint, result, content)
					}
				}
				if got := PackedSessionJSON(data, session); got != enc {
					t.Errorf("taken for %q", got)
				}
				if got := PackedSessionJSON(data, sessions[0][:5]); got != Auto {
					t.Errorf("another Session JSON is taken for it, in %q", got)
				}
			}
		})
	}
}

func TestWhatIsNoBurstIsNotWritten(t *testing.T) {
	if _, err := PackSessionJSON(Frame, []byte("\xff")); err == nil {
		t.Error("what is not UTF-8 is written")
	}
	if _, err := PackSessionJSON(Frame, bytes.Repeat([]byte{' '}, AllowedBurst)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("what is too large: %v", err)
	}
	if _, err := PackSessionJSON(Auto, []byte("{}")); err == nil {
		t.Error("what has no encoding is written")
	}
	for _, data := range []string{"", "x", "\x00"} {
		if got := PackedSessionJSON([]byte(data), []byte("{}")); got != Auto {
			t.Errorf("%q is taken for a Session JSON in %q", data, got)
		}
	}
}
