package burst

import (
	"encoding/json"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst/pb"
)

// What a person is shown of one burst. Decoded it takes several times its
// length, and there are bursts that consist of millions of empty StreamData.
const (
	decodedItems = 10_000
	decodedBytes = 2 * AllowedBurst
	notedFields  = 100
)

// Decode is [Checker.Check] and the content of the burst, nil if the message is
// [Invalid]. A burst that keeps to the documentation's limit is decoded as a
// whole as far as it has no more than 10 000 StreamData; of a larger one the
// beginning is.
func (c *Checker) Decode(data []byte, hint Encoding) (Result, *Content) {
	result := c.Check(data, hint)
	if result.Verdict == Invalid {
		return result, nil
	}
	b, f := c.unpacker.unpack(result.Encoding, data, c.maxBurst())
	defer c.unpacker.trim()
	if f.err != nil {
		return result, nil
	}
	return result, decodeBurst(b)
}

// DecodePart returns what can be read of an [Invalid] message before its first
// fault, nil if that is nothing.
func (c *Checker) DecodePart(data []byte) *Content {
	d := c.Explain(data)
	if d == nil {
		return nil
	}
	enc, err := ParseEncoding(d.Furthest)
	if err != nil || enc == Auto {
		return nil
	}
	b, f := c.unpacker.unpack(enc, data, c.maxBurst())
	defer c.unpacker.trim()
	if f.err != nil {
		b = unpackPart(enc, data, min(c.maxBurst(), decodedBytes))
	}
	content := decodeBurst(b)
	if content.Incomplete = true; len(content.Data) == 0 {
		return nil
	}
	return content
}

// unpackPart uncompresses blocks up to a fault.
func unpackPart(enc Encoding, data []byte, limit int) []byte {
	env, f := open(enc, data)
	if f.err != nil {
		return nil
	}
	var out []byte
	for {
		p, ok, f := env.next()
		if f.err != nil { // a block that is cut off, perhaps
			if enc == LegacyFrame {
				env.rest = env.rest[min(4, len(env.rest)):]
			}
			return blockPart(env.rest, out, limit)
		}
		if !ok {
			return out
		}
		n := len(out)
		if out = blockPart(p.data, out, limit); p.stored {
			out = append(out[:n], p.data[:min(len(p.data), limit-n)]...)
		}
	}
}

// blockPart appends what the sequences of an LZ4 block stand for, up to a fault.
func blockPart(src, out []byte, limit int) []byte {
	for i := 0; i < len(src); {
		literals, at, ok := sequenceLength(src, i+1, int(src[i]>>4))
		if !ok {
			return out
		}
		end := min(at+literals, len(src))
		if out = append(out, src[at:end]...); len(out) > limit {
			return out[:limit]
		}
		if len(src)-end < 2 {
			return out
		}
		offset := int(src[end]) | int(src[end+1])<<8
		match, next, ok := sequenceLength(src, end+2, int(src[i]&15))
		if !ok || offset == 0 || offset > len(out) {
			return out
		}
		for range min(match+minMatch, limit-len(out)) {
			out = append(out, out[len(out)-offset])
		}
		i = next
	}
	return out
}

// decodeBurst decodes a burst up to what no parser takes, one StreamData at a
// time.
func decodeBurst(b []byte) *Content {
	content := &Content{Data: []DataContent{}}
	budget := decodedBytes
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		value := protowire.ConsumeFieldValue(number, typ, b[max(n, 0):])
		if n < 0 || value < 0 {
			break
		}
		field := b[n : n+value]
		b = b[n+value:]
		if number != dataField {
			content.UnknownFields = note(content.UnknownFields, number)
			continue
		}
		data, _ := protowire.ConsumeBytes(field)
		if len(content.Data) == decodedItems || len(data) > budget {
			content.Omitted++
			continue
		}
		budget -= len(data)
		var d pb.StreamData
		if err := proto.Unmarshal(data, &d); err != nil {
			content.Omitted++
			continue
		}
		content.Data = append(content.Data, newDataContent(&d))
	}
	return content
}

func newDataContent(d *pb.StreamData) DataContent {
	c := DataContent{UnknownFields: unknownFields(d, d.GetTimeRange(), d.GetTimestampedData(), d.GetPeriodicData(), d.GetRowData(), d.GetEvent())}
	switch member := d.Data.(type) {
	case *pb.StreamData_SessionJson:
		c.Kind, c.SessionJSON = SessionJSON.String(), rawJSON(member.SessionJson)
	case *pb.StreamData_TimeRange:
		c.Kind, c.TimeRange = TimeRange.String(), newTimeRangeContent(member.TimeRange)
	case *pb.StreamData_TimestampedData:
		c.Kind, c.TimestampedData = TimestampedData.String(), newTimestampedContent(member.TimestampedData)
	case *pb.StreamData_PeriodicData:
		c.Kind, c.PeriodicData = PeriodicData.String(), newPeriodicContent(member.PeriodicData)
	case *pb.StreamData_RowData:
		c.Kind, c.RowData = RowData.String(), newRowContent(member.RowData)
	case *pb.StreamData_Event:
		c.Kind, c.Event = Event.String(), newEventContent(member.Event)
	}
	return c
}

// rawJSON is a JSON as it stands, and as a string if it is none.
func rawJSON(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, _ := json.Marshal(text)
	return quoted
}

func newTimeRangeContent(r *pb.StreamTimeRange) *TimeRangeContent {
	return &TimeRangeContent{Start: r.StartTime, StartUTC: utc(r.StartTime), End: r.EndTime, EndUTC: utc(r.EndTime)}
}

func newTimestampedContent(d *pb.TimestampedData) *TimestampedContent {
	end := d.StartTimestamp
	for _, delta := range d.TimestampDeltas {
		end += delta * d.TimestampDeltasScale
	}
	return &TimestampedContent{
		ChannelID:      d.ChannelId,
		Start:          d.StartTimestamp,
		StartUTC:       utc(d.StartTimestamp),
		End:            end,
		EndUTC:         utc(end),
		Scale:          d.TimestampDeltasScale,
		SamplesContent: newSamplesContent(len(d.TimestampDeltas), d.Buffer),
	}
}

func newPeriodicContent(d *pb.PeriodicData) *PeriodicContent {
	end := d.StartTimestamp + d.Interval*int64(max(d.Samples-1, 0))
	return &PeriodicContent{
		ChannelID:      d.ChannelId,
		Start:          d.StartTimestamp,
		StartUTC:       utc(d.StartTimestamp),
		End:            end,
		EndUTC:         utc(end),
		Interval:       d.Interval,
		SamplesContent: newSamplesContent(int(d.Samples), d.Buffer),
	}
}

func newRowContent(d *pb.RowData) *RowContent {
	return &RowContent{
		ChannelIDs: append([]uint32{}, d.ChannelIds...), // never null in JSON
		Time:       d.Timestamp,
		TimeUTC:    utc(d.Timestamp),
		Buffer:     newBufferContent(d.Buffer),
	}
}

func newEventContent(e *pb.Event) *EventContent {
	raw := make([]Double, len(e.RawData))
	for i, x := range e.RawData {
		raw[i] = Double(x)
	}
	return &EventContent{
		DefinitionID: e.EventDefinitionId,
		AppName:      e.AppName,
		Time:         e.Timestamp,
		TimeUTC:      utc(e.Timestamp),
		StatusText:   e.StatusText,
		RawData:      raw,
	}
}

// unknownFields returns the numbers of the fields that the schema does not have.
func unknownFields(messages ...proto.Message) []int32 {
	var numbers []int32
	for _, m := range messages {
		for raw := m.ProtoReflect().GetUnknown(); len(raw) > 0; {
			number, _, n := protowire.ConsumeField(raw)
			if n < 0 {
				break
			}
			numbers = note(numbers, number)
			raw = raw[n:]
		}
	}
	return numbers
}

// note adds a field number to those noted, unless it is there or they are many.
func note(numbers []int32, number protowire.Number) []int32 {
	if len(numbers) == notedFields || slices.Contains(numbers, int32(number)) {
		return numbers
	}
	return append(numbers, int32(number))
}
