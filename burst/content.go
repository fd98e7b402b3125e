package burst

import (
	"encoding/json"
	"math"
	"time"
)

// Content is a burst for people to read, as JSON. Names are those of the schema;
// every time stands there twice, in nanoseconds since the Unix epoch and, with
// `_utc` behind the name, as RFC 3339 has it.
type Content struct {
	Data []DataContent `json:"data"`
	// Omitted counts the StreamData that are not in Data because the burst is
	// too large to be shown as a whole.
	Omitted int `json:"omitted,omitempty"`
	// Incomplete says that the message is invalid, and that this is what could be
	// read of it.
	Incomplete bool `json:"incomplete,omitempty"`
	// UnknownFields are field numbers that the schema does not have, the first
	// hundred of them.
	UnknownFields []int32 `json:"unknown_fields,omitempty"`
}

// DataContent is a StreamData; of the members one is set, that of the Kind.
type DataContent struct {
	// Kind is the name of a [Kind], empty for a StreamData that has none.
	Kind            string              `json:"kind"`
	SessionJSON     json.RawMessage     `json:"session_json,omitempty"`
	TimeRange       *TimeRangeContent   `json:"time_range,omitempty"`
	TimestampedData *TimestampedContent `json:"timestamped_data,omitempty"`
	PeriodicData    *PeriodicContent    `json:"periodic_data,omitempty"`
	RowData         *RowContent         `json:"row_data,omitempty"`
	Event           *EventContent       `json:"event,omitempty"`
	// UnknownFields are field numbers, of the StreamData or its member, that the
	// schema does not have.
	UnknownFields []int32 `json:"unknown_fields,omitempty"`
}

// TimeRangeContent is a StreamTimeRange.
type TimeRangeContent struct {
	Start    int64  `json:"start_time"`
	StartUTC string `json:"start_time_utc"`
	End      int64  `json:"end_time"`
	EndUTC   string `json:"end_time_utc"`
}

// TimestampedContent is a TimestampedData. Its deltas are summed up in the time
// of the last sample.
type TimestampedContent struct {
	ChannelID uint32 `json:"channel_id"`
	Start     int64  `json:"start_timestamp"`
	StartUTC  string `json:"start_timestamp_utc"`
	End       int64  `json:"end_timestamp"`
	EndUTC    string `json:"end_timestamp_utc"`
	Scale     int64  `json:"timestamp_deltas_scale"`
	SamplesContent
}

// PeriodicContent is a PeriodicData.
type PeriodicContent struct {
	ChannelID uint32 `json:"channel_id"`
	Start     int64  `json:"start_timestamp"`
	StartUTC  string `json:"start_timestamp_utc"`
	End       int64  `json:"end_timestamp"`
	EndUTC    string `json:"end_timestamp_utc"`
	Interval  int64  `json:"interval"`
	SamplesContent
}

// RowContent is a RowData.
type RowContent struct {
	ChannelIDs []uint32      `json:"channel_ids"`
	Time       int64         `json:"timestamp"`
	TimeUTC    string        `json:"timestamp_utc"`
	Buffer     BufferContent `json:"buffer"`
}

// EventContent is an Event.
type EventContent struct {
	DefinitionID int32    `json:"event_definition_id"`
	AppName      string   `json:"app_name"`
	Time         int64    `json:"timestamp"`
	TimeUTC      string   `json:"timestamp_utc"`
	StatusText   string   `json:"status_text"`
	RawData      []Double `json:"raw_data"`
}

// SamplesContent is a buffer of samples of one width.
type SamplesContent struct {
	Samples int `json:"samples"`
	// Width is the bytes of a sample, 0 if the buffer does not split into them.
	Width  int           `json:"sample_bytes"`
	Buffer BufferContent `json:"buffer"`
}

// BufferContent is a buffer of samples, whose encoding only the session's
// configuration knows: its length and how it begins.
type BufferContent struct {
	Bytes int    `json:"bytes"`
	Head  []byte `json:"head_base64"`
}

// bufferHead is how much of a buffer is shown.
const bufferHead = 32

// Double is a number that is written as a string where JSON has none for it.
type Double float64

// MarshalJSON writes NaN and the infinities as protobuf's JSON form does.
func (d Double) MarshalJSON() ([]byte, error) {
	switch f := float64(d); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(f)
	}
}

func utc(ns int64) string {
	return time.Unix(0, ns).UTC().Format(time.RFC3339Nano)
}

func newBufferContent(buffer []byte) BufferContent {
	return BufferContent{Bytes: len(buffer), Head: append([]byte{}, buffer[:min(len(buffer), bufferHead)]...)}
}

func newSamplesContent(samples int, buffer []byte) SamplesContent {
	c := SamplesContent{Samples: samples, Buffer: newBufferContent(buffer)}
	if samples > 0 && len(buffer)%samples == 0 {
		c.Width = len(buffer) / samples
	}
	return c
}
