package inspect

import (
	"encoding/json"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
)

// Reason is a finding that keeps a message from being [burst.OK]. There are
// few, so that it is fit for a metric's label.
type Reason string

// The reasons that the fields of a message give; those that its payload gives
// are [burst.Reason]s.
const (
	// FieldUnknown is a field other than `id` and `data`: a newer producer. It
	// makes a message [burst.Warn].
	FieldUnknown Reason = "field_unknown"
	// FieldRepeated is an `id` or `data` that is there more than once; the
	// first counts. It makes a message [burst.Warn].
	FieldRepeated Reason = "field_repeated"
	// IDMissing is a message without `id`, which belongs to no session.
	IDMissing Reason = "id_missing"
	// IDNotNumber is an `id` that is not a decimal number, which no session
	// has.
	IDNotNumber Reason = "id_not_number"
	// DataMissing is a message without `data`.
	DataMissing Reason = "data_missing"
)

// fieldReasons are the reasons above, in the order in which they are given.
func fieldReasons() []Reason {
	return []Reason{FieldUnknown, FieldRepeated, IDMissing, IDNotNumber, DataMissing}
}

// AllReasons returns every reason there is, for metrics that start at 0.
func AllReasons() []Reason {
	all := fieldReasons()
	for _, r := range burst.AllReasons() {
		all = append(all, Reason(r.String()))
	}
	return all
}

// Message is the judgement of one message of a stream, or of one file.
type Message struct {
	// Stream is the name of the stream, and ID the message's id in it, unless
	// File is set.
	Stream string
	ID     buffer.ID
	// File is the path of the payload, or "-" for standard input.
	File string
	// SessionID is the message's `id` field.
	SessionID string

	Verdict burst.Verdict
	// Reasons for the verdict, none if it is [burst.OK].
	Reasons []Reason
	// Detail says where and what, nil if the message is [burst.OK].
	Detail *burst.Detail
	// Encoding of the payload; [burst.Auto] if it could not be read.
	Encoding burst.Encoding
	// CompressedBytes is the length of the payload. Of a message that is too
	// large to be read at all it is that of all fields.
	CompressedBytes int64
	// Size is the length of the burst before compression in bytes, 0 if the
	// payload could not be read.
	Size int64
	// Kinds is how many StreamData of each kind the burst has, by the name of
	// the kind.
	Kinds map[string]int
	// Content is the burst itself, if it was asked for and can be read; of an
	// invalid message what comes before the first fault.
	Content *burst.Content
	// Payload is what the field `data` holds, if it was asked for.
	Payload []byte
	// Saved is the file that the payload was written to, empty if it was not.
	Saved string
}

// MarshalJSON writes the message as `inspect -o json` shows it.
func (m Message) MarshalJSON() ([]byte, error) {
	out := struct {
		Stream          *string        `json:"stream,omitempty"`
		File            *string        `json:"file,omitempty"`
		ID              string         `json:"id"`
		SessionID       string         `json:"session_id"`
		Verdict         string         `json:"verdict"`
		Reasons         []Reason       `json:"reasons"`
		Detail          *burst.Detail  `json:"detail"`
		Encoding        string         `json:"encoding"`
		CompressedBytes int64          `json:"compressed_bytes"`
		Size            int64          `json:"size"`
		Kinds           map[string]int `json:"kinds"`
		Content         *burst.Content `json:"content,omitempty"`
		Saved           string         `json:"saved,omitempty"`
	}{
		SessionID:       buffer.Escape(m.SessionID),
		Verdict:         m.Verdict.String(),
		Reasons:         m.Reasons,
		Detail:          m.Detail,
		Saved:           m.Saved,
		Encoding:        m.Encoding.String(),
		CompressedBytes: m.CompressedBytes,
		Size:            m.Size,
		Kinds:           m.Kinds,
		Content:         m.Content,
	}
	if out.Reasons == nil {
		out.Reasons = []Reason{}
	}
	if out.Kinds == nil {
		out.Kinds = map[string]int{}
	}
	if m.File != "" {
		out.File = new(buffer.Escape(m.File))
	} else {
		out.Stream, out.ID = new(buffer.Escape(m.Stream)), m.ID.String()
	}
	return json.Marshal(out)
}
