package burst

import (
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

// decodeBurst decodes a burst that is known to be valid, one StreamData at a
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
		c.Kind, c.SessionJSON = SessionJSON.String(), []byte(member.SessionJson)
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
