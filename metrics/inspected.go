package metrics

import "github.com/streamkeeper/streamkeeper/burst"

// Message is what the inspector found out about one message.
type Message struct {
	Stream  string
	Verdict burst.Verdict
	Reasons []string
	// Encoding is how the LZ4 bytes were framed, empty if that is not known.
	Encoding string
	// Size and Compressed are in bytes; a Size of 0 is not known.
	Size, Compressed int64
}

// InspectStarted tells that messages from now on belong to a new run.
func (m *Metrics) InspectStarted() { m.streams.startInspection() }

// InspectPassedOver tells that a run does not look at a stream, of which it says
// nothing.
func (m *Metrics) InspectPassedOver(stream string) { m.streams.passedOver(stream) }

// InspectEnded tells that all messages of a run have been noted. A run that did
// not come to its end says nothing of the streams that it did not reach.
func (m *Metrics) InspectEnded(complete bool) { m.streams.endInspection(complete) }

// Inspected notes one message.
func (m *Metrics) Inspected(msg Message) {
	m.streams.inspected(msg, m.now())
	for _, reason := range msg.Reasons {
		m.inspect.reasons.WithLabelValues(reason).Inc()
	}
	if msg.Size > 0 {
		m.inspect.size.Observe(float64(msg.Size))
	}
	if msg.Size > 0 && msg.Compressed > 0 {
		m.inspect.ratio.Observe(float64(msg.Size) / float64(msg.Compressed))
	}
}
