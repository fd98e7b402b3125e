package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

func TestPausesAreReadAgainAfterASecond(t *testing.T) {
	t.Parallel()
	now, reads := time.Unix(1_700_000_000, 0), 0
	held, failure := buffer.Pauses{{ID: "a"}, {ID: "b", Job: Inspect}}, error(nil)
	pausesOf := func(job string) *Pauses {
		return &Pauses{job: job, removes: Removes(job), now: func() time.Time { return now }, read: func(context.Context) (buffer.Pauses, error) {
			reads++
			return held, failure
		}}
	}
	p := pausesOf(Trim)
	for range 3 {
		if all, err := p.Now(t.Context()); err != nil || len(all) != 1 || all[0].ID != "a" || reads != 1 {
			t.Errorf("%+v, %v, after %d readings", all, err, reads)
		}
	}
	held, now = nil, now.Add(pausesFor)
	if paused, err := p.Streams(t.Context()); err != nil || paused("rocket") || reads != 2 {
		t.Errorf("%v, after %d readings", err, reads)
	}
	failure, now = errors.New("away"), now.Add(pausesFor)
	if _, err := p.Streams(t.Context()); !errors.Is(err, failure) {
		t.Error(err)
	}
	held, failure = buffer.Pauses{{ID: "a"}, {ID: "b", Job: Inspect}}, nil
	if all, err := pausesOf(Inspect).Now(t.Context()); err != nil || len(all) != 1 || all[0].ID != "b" {
		t.Errorf("%+v, %v", all, err)
	}
}
