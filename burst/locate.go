package burst

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/streamkeeper/streamkeeper/burst/pb"
)

// findingsOf says of each reason that a walk over a burst found, where and what.
func findingsOf(w *walk, b []byte) []Finding {
	var all []Finding
	for r := range w.reasons.All() {
		f := Finding{Reason: r.String()}
		switch at := int(w.first[r]); r {
		case OverOneMiB:
			f.Text = fmt.Sprintf("the burst has %d bytes, more than the %d that are allowed", len(b), AllowedBurst)
		case BlockEndRisky:
			f.Text = "the last match of the LZ4 block is too near to its end: clients with a buffer of just that length refuse it"
		case NoStreamData:
			f.Text = fmt.Sprintf("there is no StreamData in its %d bytes", len(b))
		default:
			l := locate(b, at)
			f.Path, f.Offset = l.path, &at
			f.Text = l.describe(r)
		}
		all = append(all, f)
	}
	return all
}

// location is a field of a burst.
type location struct {
	path   string
	field  []byte // from its tag to the end of the message that it lies in
	in     protoreflect.MessageDescriptor
	number protowire.Number
	typ    protowire.Type
	// value is what lies behind a length, nil if there is none or it reaches past
	// the end; short is by how many bytes it does.
	value []byte
	short uint64
	last  bool // nothing of the burst follows the message that it lies in
}

// locate finds the field whose tag, or whose length, is at an index of a burst:
// it descends into messages until it is there.
func locate(b []byte, at int) location {
	in := (*pb.StreamDataBurst)(nil).ProtoReflect().Descriptor()
	l := location{path: "", in: in, last: true}
	for i, index := 0, 0; i < len(b); {
		l.read(b[i:])
		name, known := fieldName(l.in, l.number)
		if known && l.in.Fields().ByNumber(l.number).IsList() && l.in.Fields().ByNumber(l.number).Message() != nil {
			name = fmt.Sprintf("%s[%d]", name, index)
			index++
		}
		n := fieldLength(b[i:])
		if n < 0 || at < i+n {
			path := join(l.path, name)
			if n > 0 && at > i && l.value != nil && known {
				if message := l.in.Fields().ByNumber(l.number).Message(); message != nil && l.typ == protowire.BytesType {
					head := n - len(l.value)
					if at >= i+head {
						l.path, l.in, l.last = path, message, l.last && i+n == len(b)
						b, at, i, index = l.value, at-i-head, 0, 0
						continue
					}
				}
			}
			l.path = path
			return l
		}
		i += n
	}
	return l
}

// read reads the field that b begins with, as far as it can be read.
func (l *location) read(b []byte) {
	l.field, l.value, l.short = b, nil, 0
	tag, n := protowire.ConsumeVarint(b)
	if n < 0 {
		l.number, l.typ = 0, -1
		return
	}
	l.number, l.typ = protowire.Number(min(tag>>3, 1<<31-1)), protowire.Type(tag&7)
	if l.typ != protowire.BytesType {
		return
	}
	size, m := protowire.ConsumeVarint(b[n:])
	switch left := uint64(len(b) - n - max(m, 0)); {
	case m < 0:
	case size > left:
		l.short = size - left
	default:
		l.value = b[n+m:][:size]
	}
}

// fieldLength is the length of the field that b begins with, -1 if it is none.
func fieldLength(b []byte) int {
	_, _, n := protowire.ConsumeField(b)
	return n
}

func fieldName(in protoreflect.MessageDescriptor, number protowire.Number) (name string, known bool) {
	if number >= protowire.MinValidNumber && number <= protowire.MaxValidNumber {
		if field := in.Fields().ByNumber(number); field != nil {
			return string(field.Name()), true
		}
	}
	return fmt.Sprintf("field %d", number), false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// describe says what is wrong with the field.
func (l location) describe(r Reason) string {
	switch r {
	case NotProtobuf:
		return l.notProtobuf()
	case WrongWireType:
		return fmt.Sprintf("has wire type %s, the protocol's %s has %s", typeName(l.typ), l.in.Name(), l.expectedType())
	case NestedTooDeep:
		return fmt.Sprintf("groups lie more than %d deep within each other", maxDepth)
	case NotUTF8:
		return "the text is not UTF-8: " + badUTF8(l.textValue())
	case SessionNotJSON:
		return "the Session JSON is not JSON: " + jsonError(l.value)
	case SessionIdentityMissing:
		return "the Session JSON has no string \"identity\""
	case SessionStateUnknown:
		_, members := readSessionJSON(l.value)
		if len(members.state) == 0 {
			return "the Session JSON has no \"state\""
		}
		return fmt.Sprintf("the Session JSON has the state %.40s, which the protocol does not have", members.state)
	case UnknownField:
		return fmt.Sprintf("the protocol's %s has no field %d: a newer producer, or another message", l.in.Name(), l.number)
	case EmptyStreamData:
		return "the StreamData is empty"
	case SeveralMembers:
		return "the StreamData has more than one member, of which the last counts"
	case OverlongVarint:
		return "the tag or the length has more than 5 bytes: C++, Python and JavaScript refuse it"
	default:
		return l.describeValues(r)
	}
}

// describeValues says what is wrong with the values of a member.
func (l location) describeValues(r Reason) string {
	switch r {
	case TimeRangeReversed:
		var m pb.StreamTimeRange
		_ = proto.Unmarshal(l.value, &m)
		return fmt.Sprintf("start_time %d is after end_time %d", m.StartTime, m.EndTime)
	case FirstDeltaNotZero:
		var m pb.TimestampedData
		_ = proto.Unmarshal(l.value, &m)
		if len(m.TimestampDeltas) > 0 {
			return fmt.Sprintf("the first of timestamp_deltas is %d, not 0", m.TimestampDeltas[0])
		}
	case SamplesUneven:
		return l.describeSamples()
	}
	return r.String()
}

func (l location) describeSamples() string {
	switch field := l.in.Fields().ByNumber(l.number); Kind(l.number - protowire.Number(firstMember)) {
	case TimestampedData:
		var m pb.TimestampedData
		_ = proto.Unmarshal(l.value, &m)
		return fmt.Sprintf("a buffer of %d bytes for %d timestamp_deltas", len(m.Buffer), len(m.TimestampDeltas))
	case PeriodicData:
		var m pb.PeriodicData
		_ = proto.Unmarshal(l.value, &m)
		return fmt.Sprintf("a buffer of %d bytes for %d samples", len(m.Buffer), m.Samples)
	case RowData:
		var m pb.RowData
		_ = proto.Unmarshal(l.value, &m)
		return fmt.Sprintf("a buffer of %d bytes for %d channel_ids", len(m.Buffer), len(m.ChannelIds))
	default:
		return fmt.Sprintf("the samples of %v do not split", field)
	}
}

// notProtobuf says why no parser takes the field.
func (l location) notProtobuf() string {
	switch {
	case l.typ < 0:
		return "a tag is cut off or has more than 10 bytes"
	case l.number < protowire.MinValidNumber || l.number > protowire.MaxValidNumber:
		return fmt.Sprintf("no field can have the number %d", l.number)
	case l.typ > protowire.Fixed32Type:
		return fmt.Sprintf("there is no wire type %d", l.typ)
	case l.typ == protowire.EndGroupType:
		return "a group ends that did not begin"
	case l.short > 0 && l.last:
		return fmt.Sprintf("its length is %d bytes more than are left of the burst: cut off, or a wrong length", l.short)
	case l.short > 0:
		return fmt.Sprintf("its length is %d bytes more than are left of the message it lies in", l.short)
	}
	field := l.in.Fields().ByNumber(l.number)
	switch {
	case field == nil || l.value == nil:
		return fmt.Sprintf("the value, of wire type %s, is cut off or too long", typeName(l.typ))
	case field.Kind() == protoreflect.DoubleKind:
		return fmt.Sprintf("a list of doubles has %d bytes, which is no multiple of 8", len(l.value))
	case field.IsList():
		return fmt.Sprintf("a packed list of %d bytes ends within a number, or has one of more than 10 bytes", len(l.value))
	}
	return "the value is malformed"
}

func (l location) textValue() []byte {
	if l.value == nil {
		return l.field
	}
	return l.value
}

var typeNames = [...]string{"varint", "fixed64", "bytes", "start of a group", "end of a group", "fixed32"}

func typeName(t protowire.Type) string {
	if t >= 0 && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprint(int(t))
}

// expectedType is the wire type of the schema's field with the number.
func (l location) expectedType() string {
	field := l.in.Fields().ByNumber(l.number)
	if field == nil {
		return "none"
	}
	switch field.Kind() {
	case protoreflect.Uint32Kind, protoreflect.Int32Kind, protoreflect.Int64Kind:
		return "varint"
	case protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return "fixed64"
	default:
		return "bytes"
	}
}

func badUTF8(text []byte) string {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n <= 1 {
			return fmt.Sprintf("byte %d of it is %02x", i, text[i])
		}
		i += n
	}
	return "it is valid alone"
}

func jsonError(text []byte) string {
	if len(bytes.TrimSpace(text)) == 0 {
		return "it is empty"
	}
	var v json.RawMessage
	err := json.Unmarshal(text, &v)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("byte %d: %v", max(syntax.Offset-1, 0), err)
	}
	return fmt.Sprint(err)
}
