package doctor

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/demo"
)

// TestTheDemosProducersHaveTheFindingsThatAreMeant: what the demo shows is wrong on
// purpose, and nothing else is.
func TestTheDemosProducersHaveTheFindingsThatAreMeant(t *testing.T) {
	f := newFixture(t, registry.Keys)
	cast := demo.Cast()
	for i := range cast {
		cast[i].Past = min(cast[i].Past, 10*time.Second) // to make messages is what takes long
	}
	producers := demo.NewProducers(f.rdb, demo.Options{Cast: cast})
	if err := producers.Seed(f.ctx()); err != nil {
		t.Fatal(err)
	}
	// Long enough for each kind of rubbish, and for all to have a message.
	ctx, cancel := context.WithTimeout(f.ctx(), 2*time.Second)
	defer cancel()
	if err := producers.Run(ctx); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, finding := range f.examine() {
		line := finding.Check
		for _, e := range finding.Examples {
			line += " [" + strings.TrimPrefix(e.Name, demo.Prefix) + "]"
		}
		got = append(got, line)
	}
	// The simulator writes rubbish, and small bursts are quick to make.
	meant := []string{"session-time [simulator]", "message-fields [simulator", "message-valid [simulator", "message-size"}
	for _, line := range got {
		if !slices.ContainsFunc(meant, func(m string) bool { return strings.HasPrefix(line, m) }) {
			t.Errorf("not meant: %s", line)
		}
	}
	if len(got) == 0 || got[0] != meant[0] {
		t.Errorf("found %q", got)
	}
}

// TestAProperCastHasNoFinding: producers that do as the documentation says, in
// each layout and encoding.
func TestAProperCastHasNoFinding(t *testing.T) {
	var cast []demo.Role
	for _, role := range demo.Cast() {
		// A past of some tens of messages: to make them is what takes long.
		role.Size, role.Past, role.Dies, role.Returns = burst.AimedBurst, 3*time.Second, 0, 0
		if !role.Rubbish {
			cast = append(cast, role)
		}
	}
	f := newFixture(t, registry.Keys)
	f.doctor.Policies.Default.MaxLength = 1000 // 64 KiB each
	if err := demo.NewProducers(f.rdb, demo.Options{Cast: cast}).Seed(f.ctx()); err != nil {
		t.Fatal(err)
	}
	// What nobody has cleaned up is not theirs.
	f.do("SREM", "streams", demo.Prefix+"car 7 · shakedown")
	f.do("DEL", "stream:"+demo.Prefix+"car 7 · shakedown")
	if found := f.examine(); len(found) > 0 {
		t.Errorf("findings:%s", texts(found))
	}
}
