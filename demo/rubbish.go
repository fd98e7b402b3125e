package demo

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst"
)

// rubbish makes messages that no client can read, each a mistake that real
// producers make. Its time in the registry is wrong too.
type rubbish struct {
	telemetry *telemetry
	turn      int
}

// fields are those of the next message.
func (r *rubbish) fields(id string, now time.Time) ([]any, error) {
	good, err := r.telemetry.message(now, false)
	if err != nil {
		return nil, err
	}
	var data []byte
	r.turn++
	switch r.turn % 6 {
	case 0: // no data
		return []any{"id", id}, nil
	case 1: // nobody's data
		return []any{"data", good}, nil
	case 2: // a buffer that was reused before it was sent
		data = r.noise(len(good))
	case 3: // a connection that broke
		data = good[:len(good)/2]
	case 4: // compression forgotten
		data, err = proto.Marshal(r.telemetry.burst(now, false))
	case 5: // another message than a burst: its first field is a number
		number := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(now.Unix()))
		data, err = burst.Pack(r.telemetry.role.Encoding, nil, number)
	}
	if err != nil {
		return nil, fmt.Errorf("making rubbish: %w", err)
	}
	return []any{"id", id, "data", data}, nil
}

func (r *rubbish) noise(n int) []byte {
	noise := make([]byte, n)
	for i := range noise {
		noise[i] = byte(r.telemetry.rand.Uint32())
	}
	return noise
}
