package inspect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

func TestASinceThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "10", "-10m", "yesterday", "2026-05-31", "1-2-3", "-1", "10 m"} {
		since, err := ParseSince(text)
		if text == "10" { // an id
			if err != nil || since.from != (buffer.ID{Ms: 10}) {
				t.Errorf("%q: %+v, %v", text, since, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: error %v", text, err)
		}
	}
}

func FuzzParseSince(f *testing.F) {
	for _, seed := range []string{"10m", "0", "1700000000000-5", "2026-05-31T14:00:00Z", "1960-01-01T00:00:00+02:00", "18446744073709551615-18446744073709551615"} {
		f.Add(seed)
	}
	now := time.UnixMilli(1_700_000_000_000)
	f.Fuzz(func(t *testing.T, text string) {
		since, err := ParseSince(text)
		if err != nil {
			return
		}
		from := since.at(now).from
		if !since.given || since.relative && buffer.TimeID(now).Less(from) {
			t.Errorf("%q is read as %+v", text, since)
		}
		if id := before(from); !from.IsZero() && after(id) != from {
			t.Errorf("%q: %s is not just before %s", text, id, from)
		}
	})
}
