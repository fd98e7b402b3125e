package doctor

import (
	"math"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
)

// TestTheRateIsJudgedWhileStreamsFlow: of each stream 20 messages came at 10 Hz, and
// one five minutes before, so that the mean is a hundredth of that.
func TestTheRateIsJudgedWhileStreamsFlow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, registry.Keys).proper()
	e := f.newDoctor().newExamination(func(*Check) bool { return true })
	e.now, e.reads = f.now, true
	if err := e.readStreams(f.ctx()); err != nil {
		t.Fatal(err)
	}
	totals := e.whole.Totals
	rate := totals.BytesPerSecond / (totals.Bytes / float64(totals.Entries))
	if totals.Streams != 2 || math.Abs(rate-20) > 2 {
		t.Errorf("%g messages a second come to %d streams", rate, totals.Streams)
	}
	// What has ended is not asked.
	e.askedRates, e.now = 0, f.now.Add(time.Hour)
	if err := e.readStreams(f.ctx()); err != nil || e.askedRates != 0 {
		t.Errorf("of %d streams that have ended it was asked, %v", e.askedRates, err)
	}
}
