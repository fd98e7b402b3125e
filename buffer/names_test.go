package buffer

import (
	"testing"
	"time"
)

func TestIDsAreComparedAsNumbers(t *testing.T) {
	t.Parallel()
	ordered := []string{"0-0", "0-1", "9-0", "9-9", "9-10", "10-0", "100-0", "1700000000000-0", "18446744073709551615-18446744073709551615"}
	for i := range ordered {
		for j := range ordered {
			a, errA := ParseID(ordered[i])
			b, errB := ParseID(ordered[j])
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if got := a.Less(b); got != (i < j) {
				t.Errorf("%s < %s is %v", a, b, got)
			}
			if a.String() != ordered[i] {
				t.Errorf("%s is written %s", ordered[i], a)
			}
		}
	}
}

func TestParseIDRefusesWhatIsNoID(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "-", "1-", "-1", "a-1", "1-b", "1-2-3", "18446744073709551616-0", " 1-0"} {
		if id, err := ParseID(text); err == nil {
			t.Errorf("ParseID(%q) = %s, want an error", text, id)
		}
	}
}

func TestAnIDIsATimeFrom2001ToADayAhead(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	for ms, want := range map[uint64]bool{
		0:                            false,
		1:                            false,
		MinTimeMs - 1:                false,
		MinTimeMs:                    true,
		1_800_000_000_000:            true,
		1_800_000_000_000 + 86400000: true,
		1_800_000_000_001 + 86400000: false,
		1_800_000_000_000_000_000:    false,
	} {
		if got := (ID{Ms: ms}).IsTime(now); got != want {
			t.Errorf("ID %d is a time: %v, want %v", ms, got, want)
		}
	}
}
