package burst

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kind is what a StreamData carries: the member of its oneof.
type Kind uint8

// The kinds, in the order of their field numbers.
const (
	SessionJSON Kind = iota
	TimeRange
	TimestampedData
	PeriodicData
	RowData
	Event

	kindCount
)

var kindNames = [kindCount]string{"session_json", "time_range", "timestamped_data", "periodic_data", "row_data", "event"}

// String returns the name of the kind's field in the schema.
func (k Kind) String() string {
	if k >= kindCount {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// role is what a field is to the check of its message, together with its type.
type role uint8

const (
	foreign     role = iota // not a field of the message, or not with this wire type
	anyNumber               // a number that nothing depends on
	anyFixed64              // a time that nothing depends on
	anyDoubles              // a packed list of doubles
	text                    // a string
	rangeStart              // the time that a range starts at
	rangeEnd                // the time that a range ends at
	sampleCount             // how many samples the buffer holds
	delta                   // a timestamp delta: there is one for each sample
	deltas                  // a packed list of them
	channel                 // a channel id: there is one for each sample of a row
	channels                // a packed list of them
	buffer                  // the samples
)

// wireType returns the wire type of a field with the role.
func (r role) wireType() protowire.Type {
	switch r {
	case anyNumber, sampleCount, delta, channel:
		return protowire.VarintType
	case anyFixed64, rangeStart, rangeEnd:
		return protowire.Fixed64Type
	default:
		return protowire.BytesType
	}
}

// unpacked returns the role that an element of a packed list has when it comes by
// itself: a parser must take a repeated scalar either way.
func (r role) unpacked() role {
	switch r {
	case deltas:
		return delta
	case channels:
		return channel
	case anyDoubles:
		return anyFixed64
	default:
		return r
	}
}

// schema has the role of each field of a message by its tag.
type schema struct {
	roles [8 << 3]role
	last  uint64 // the last field number
}

// schemas are those of what a StreamData carries: package pb over again.
var schemas = [kindCount]schema{
	TimeRange:       newSchema(rangeStart, rangeEnd),
	TimestampedData: newSchema(anyNumber, anyFixed64, anyNumber, deltas, buffer),
	PeriodicData:    newSchema(anyNumber, anyFixed64, anyNumber, sampleCount, buffer),
	RowData:         newSchema(channels, anyFixed64, buffer),
	Event:           newSchema(anyNumber, text, anyFixed64, text, anyDoubles),
}

// newSchema returns the schema of a message with the fields 1, 2, 3 and so on.
func newSchema(fields ...role) schema {
	s := schema{last: uint64(len(fields))}
	for i, field := range fields {
		for _, r := range []role{field, field.unpacked()} {
			s.roles[protowire.EncodeTag(protowire.Number(1+i), r.wireType())] = r
		}
	}
	return s
}

// has reports whether the message has a field of that number.
func (s *schema) has(number uint64) bool { return number > 0 && number <= s.last }
