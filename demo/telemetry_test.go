package demo

import (
	"bytes"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/burst"
)

var testStart = time.Date(2026, 5, 6, 14, 0, 0, 0, time.UTC)

func TestEveryMessageOfAHealthyProducerIsOKInItsEncoding(t *testing.T) {
	for i, role := range Cast() {
		if role.Rubbish {
			continue
		}
		t.Run(role.Name, func(t *testing.T) {
			t.Parallel()
			telemetry := newTelemetry(role, uint64(i), testStart)
			var checker burst.Checker
			kinds := make(map[burst.Kind]int)
			for n := range 150 {
				data, err := telemetry.message(testStart.Add(time.Duration(n)*Interval), n%announceEvery == 0)
				if err != nil {
					t.Fatal(err)
				}
				result := checker.Check(data, burst.Auto)
				if result.Verdict != burst.OK || result.Encoding != role.Encoding {
					t.Fatalf("message %d is %s as %q because of %v, want ok as %q", n, result.Verdict, result.Encoding, result.Reasons, role.Encoding)
				}
				if result.Size < role.Size-64 || result.Size > role.Size+1024 {
					t.Fatalf("message %d has %d bytes before compression, want about %d", n, result.Size, role.Size)
				}
				if result.Compressed*10 > result.Size*8 {
					t.Fatalf("message %d has %d bytes, compressed from %d: signals as smooth as these shrink more", n, result.Compressed, result.Size)
				}
				for kind, count := range result.KindCounts() {
					kinds[kind] += count
				}
			}
			if len(kinds) != 6 {
				t.Errorf("in 15 s only these kinds came: %v", kinds)
			}
		})
	}
}

func TestTheSameSeedAndTimesGiveTheSameBytes(t *testing.T) {
	role := Cast()[0]
	one, other := newTelemetry(role, 3, testStart), newTelemetry(role, 3, testStart)
	different := newTelemetry(role, 4, testStart)
	for n := range 20 {
		now := testStart.Add(time.Duration(n) * Interval)
		a, err := one.message(now, n == 0)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := other.message(now, n == 0)
		c, _ := different.message(now, n == 0)
		if !bytes.Equal(a, b) {
			t.Fatalf("burst %d differs under the same seed", n)
		}
		if bytes.Equal(a, c) {
			t.Fatalf("burst %d is the same under another seed", n)
		}
	}
}

func TestTheCarStaysWithinWhatACarCanDo(t *testing.T) {
	var c car
	seen := make(map[int]bool)
	for at := time.Duration(0); at < lap; at += 10 * time.Millisecond {
		s := c.at(at)
		if s.speed < 60 || s.speed > 350 || s.rpm < 3000 || s.rpm > rpmLimit || s.gear < 1 || s.gear > gears ||
			s.throttle < 0 || s.throttle > 100 || s.brake < 0 || s.brake > 100 {
			t.Fatalf("after %s: %+v", at, s)
		}
		seen[s.gear] = true
	}
	if len(seen) < 4 {
		t.Errorf("only %d gears in a lap", len(seen))
	}
}

func TestRubbishIsInvalidOrLacksAField(t *testing.T) {
	role := Cast()[len(Cast())-1]
	if !role.Rubbish {
		t.Fatalf("%q writes no rubbish", role.Name)
	}
	r := rubbish{telemetry: newTelemetry(role, 1, testStart)}
	var checker burst.Checker
	outcomes := make(map[string]int)
	for n := range 120 {
		values, err := r.fields("12", testStart.Add(time.Duration(n)*Interval))
		if err != nil {
			t.Fatal(err)
		}
		fields := make(map[any]any)
		for i := 0; i < len(values); i += 2 {
			fields[values[i]] = values[i+1]
		}
		data, hasData := fields["data"].([]byte)
		_, hasID := fields["id"]
		switch {
		case !hasData:
			outcomes["no data"]++
		case !hasID:
			outcomes["no id"]++
		default:
			result := checker.Check(data, role.Encoding)
			if result.Verdict != burst.Invalid {
				t.Fatalf("message %d is %s", n, result.Verdict)
			}
			for reason := range result.Reasons.All() {
				outcomes[reason.String()]++
			}
		}
	}
	for _, want := range []string{"no data", "no id", "unreadable", "wrong_wire_type"} {
		if outcomes[want] == 0 {
			t.Errorf("no message of the kind %q: %v", want, outcomes)
		}
	}
}
