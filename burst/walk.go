package burst

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// walk goes through one burst on the wire and gathers what it finds. Its
// methods return false, or -1, once the burst is known to be invalid.
type walk struct {
	reasons Reasons
	kinds   [kindCount]int
	// first is where in the burst each of the reasons was first found.
	first [reasonCount]int32
}

// note adds a reason that was found in the field whose tag is at an index.
func (w *walk) note(r Reason, at int) {
	if !w.reasons.Has(r) {
		w.reasons.add(r)
		w.first[r] = int32(min(at, math.MaxInt32))
	}
}

// fail is note for what makes the burst invalid.
func (w *walk) fail(r Reason, at int) bool {
	w.note(r, at)
	return false
}

const (
	wireBytes = uint64(protowire.BytesType)

	dataField   = 1 // StreamDataBurst.data
	firstMember = 2 // of StreamData's oneof; 1 is reserved
	lastMember  = firstMember + uint64(kindCount) - 1
)

// burst walks a StreamDataBurst.
func (w *walk) burst(b []byte) bool {
	found := false
	for i := 0; i < len(b); {
		tag, next := uint64(b[i]), i+1
		if tag >= 0x80 {
			tag, next = w.longTag(b, i, len(b))
		}
		if tag != dataField<<3|wireBytes {
			if i = w.foreign(b, span{i, next, len(b)}, tag, tag>>3 == dataField, 0); i < 0 {
				return false
			}
			continue
		}
		from, to := w.length(b, next, len(b))
		if to < 0 {
			return w.fail(NotProtobuf, i)
		}
		if !w.streamData(b, i, from, to) {
			return false
		}
		i, found = to, true
	}
	return found || w.fail(NoStreamData, 0)
}

// streamData walks a StreamData. A member of the oneof that comes twice in a row
// is merged, as protobuf does it; another one takes its place.
func (w *walk) streamData(b []byte, start, i, end int) bool {
	if i == end {
		w.note(EmptyStreamData, start)
		return true
	}
	kind := kindCount
	at := i // of the member that counts
	var json []byte
	var v values
	for i < end {
		tag, next := uint64(b[i]), i+1
		if tag >= 0x80 {
			tag, next = w.longTag(b, i, end)
		}
		member := tag >> 3
		known := firstMember <= member && member <= lastMember
		if !known || tag&7 != wireBytes {
			if i = w.foreign(b, span{i, next, end}, tag, known, 1); i < 0 {
				return false
			}
			continue
		}
		from, to := w.length(b, next, end)
		if to < 0 {
			return w.fail(NotProtobuf, i)
		}
		at = i
		if kind != kindCount {
			w.note(SeveralMembers, i)
			if kind != Kind(member-firstMember) {
				v = values{}
			}
		}
		if kind = Kind(member - firstMember); kind == SessionJSON {
			if json = b[from:to]; !utf8.Valid(json) {
				return w.fail(NotUTF8, i)
			}
		} else if !w.fields(b, from, to, &schemas[kind], &v) {
			return false
		}
		i = to
	}
	if kind == kindCount {
		return true
	}
	w.kinds[kind]++
	var reasons Reasons
	if kind == SessionJSON {
		reasons = checkSessionJSON(json)
	} else {
		reasons = v.check(kind)
	}
	if reasons == 0 {
		return true
	}
	for r := range reasons.All() {
		w.note(r, at)
	}
	return reasons.Verdict() != Invalid
}

// fields walks a message that has no message in it. Most of a check's time is
// spent here, so it is one loop.
//
//nolint:gocognit // the cases are short, and calls would cost a quarter of the time
func (w *walk) fields(b []byte, i, end int, s *schema, v *values) bool {
	for i < end {
		tag, next := uint64(b[i]), i+1
		if tag >= 0x80 {
			tag, next = w.longTag(b, i, end)
		}
		at, r := i, foreign
		if tag < uint64(len(s.roles)) {
			r = s.roles[tag]
		}
		switch r {
		case foreign:
			i = w.foreign(b, span{i, next, end}, tag, s.has(tag>>3), 2)
			if i < 0 {
				return false
			}
		case anyNumber:
			if size := shortVarint(b, next); size > 0 {
				i = next + size
			} else {
				_, i = readVarint(b, next, end)
			}
		case sampleCount, delta, channel:
			var x uint64
			x, i = readVarint(b, next, end)
			v.addNumber(r, x)
		case anyFixed64:
			i = next + 8
		case rangeStart, rangeEnd:
			if i = next + 8; i <= end {
				v.addTime(r, binary.LittleEndian.Uint64(b[next:i]))
			}
		case buffer:
			from, to := w.length(b, next, end)
			v.buffer, i = to-from, to
		case deltas, channels:
			from, to := w.length(b, next, end)
			if i = to; to >= 0 && !v.addList(r, b[from:to:len(b)]) {
				return w.fail(NotProtobuf, at)
			}
		case anyDoubles:
			from, to := w.length(b, next, end)
			if i = to; (to-from)%8 != 0 {
				return w.fail(NotProtobuf, at)
			}
		case text:
			from, to := w.length(b, next, end)
			if i = to; to >= 0 && !utf8.Valid(b[from:to]) {
				return w.fail(NotUTF8, at)
			}
		}
		if i < 0 || i > end {
			return w.fail(NotProtobuf, at)
		}
	}
	return true
}

// values is what the checks of the content need to know of a message.
type values struct {
	start, end int64 // of a time range
	// count is the number of samples, as the message says it, or as follows from
	// its deltas or channels.
	count      int
	firstDelta uint64
	buffer     int // bytes
}

func (v *values) addNumber(r role, x uint64) {
	switch r {
	case sampleCount:
		v.count = int(int32(x)) // protobuf cuts an int32 off
	case delta:
		if v.count == 0 {
			v.firstDelta = x
		}
		v.count++
	case channel:
		v.count++
	}
}

// addList takes a packed list into the values, false if it is not one.
func (v *values) addList(r role, list []byte) bool {
	n, ok := countVarints(list)
	if r == deltas && v.count == 0 && ok && n > 0 {
		v.firstDelta, _ = readVarint(list, 0, len(list))
	}
	v.count += n
	return ok
}

func (v *values) addTime(r role, x uint64) {
	if r == rangeStart {
		v.start = int64(x)
	} else {
		v.end = int64(x)
	}
}

// span is a field in the burst: the index of its tag, of its value, and of the
// end of the message that it lies in.
type span struct{ at, value, end int }

// foreign deals with a field that the message does not have as it stands: it has
// the number, but not with this wire type, or it has not even the number. It
// returns the index behind the field, -1 if that makes the burst invalid. depth
// is how many messages the field lies in, the burst not counted.
func (w *walk) foreign(b []byte, f span, tag uint64, known bool, depth int) int {
	i := f.value
	if i >= 0 {
		if known {
			w.fail(WrongWireType, f.at)
			return -1
		}
		i = w.skip(b, f, tag, depth)
	}
	if i < 0 {
		if !w.reasons.Has(NestedTooDeep) {
			w.fail(NotProtobuf, f.at)
		}
		return -1
	}
	w.note(UnknownField, f.at)
	return i
}

// check checks the content of a message beyond its schema.
func (v *values) check(kind Kind) (reasons Reasons) {
	switch kind {
	case TimeRange:
		if v.start > v.end {
			reasons.add(TimeRangeReversed)
		}
	case TimestampedData, PeriodicData:
		if v.count <= 0 || v.buffer == 0 || v.buffer%v.count != 0 {
			reasons.add(SamplesUneven)
		}
		if v.firstDelta != 0 {
			reasons.add(FirstDeltaNotZero)
		}
	case RowData:
		// The widths differ by channel, but no sample is without a byte.
		if v.count == 0 || v.buffer < v.count {
			reasons.add(SamplesUneven)
		}
	}
	return reasons
}
