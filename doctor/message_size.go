package doctor

import (
	"slices"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Bounds of a typical burst, in bytes before compression.
const (
	smallBurst = burst.AimedBurst / 8
	largeBurst = burst.AimedBurst * 8
)

// messageSize asks how long bursts are.
func messageSize() Check {
	return Check{
		ID: "message-size", Group: Messages,
		Rule:   "A burst has about 64 KiB before compression: small ones cost more than they carry, large ones arrive late.",
		Source: fromStreaming,
		Remedy: "Gather more, or less, before a message is sent; ten messages a second and session are enough.",
		Noun:   "stream", Found: "whose bursts are far from 64 KiB", Good: "bursts are about 64 KiB",
		sample: func(s *Sample, o *outcome) {
			size := medianSize(s.Messages)
			switch {
			case size > 0 && size < smallBurst:
				o.found(Advice, s.Stream.Name, "small: "+human.Bytes(size))
			case size > largeBurst && size <= burst.AllowedBurst:
				o.found(Advice, s.Stream.Name, "large: "+human.Bytes(size))
			}
		},
	}
}

// medianSize is the middle of the sizes before compression, 0 if none is known.
func medianSize(messages []inspect.Message) int64 {
	var sizes []int64
	for _, m := range messages {
		if m.Size > 0 {
			sizes = append(sizes, m.Size)
		}
	}
	if len(sizes) == 0 {
		return 0
	}
	slices.Sort(sizes)
	return sizes[len(sizes)/2]
}
