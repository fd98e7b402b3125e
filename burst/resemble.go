package burst

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// resemblance is what an invalid message looks like: a name for programs and the
// same for people.
type resemblance struct{ name, words string }

// signatures are how data of other kinds begins.
var signatures = []struct {
	begins string
	resemblance
}{
	{"LZ4Block", resemblance{"lz4_java_block_stream", "LZ4Block of lz4-java"}},
	{"\x1f\x8b\x08", resemblance{"gzip", "gzip"}},
	{"\x28\xb5\x2f\xfd", resemblance{"zstd", "zstd"}},
	{"\xff\x06\x00\x00sNaPpY", resemblance{"snappy", "snappy frames"}},
	{"BZh", resemblance{"bzip2", "bzip2"}},
	{"\xfd7zXZ\x00", resemblance{"xz", "xz"}},
	{"PK\x03\x04", resemblance{"zip", "zip"}},
}

// compareWithOthers adds what an invalid message, or what it holds, looks like
// instead. It tries the readings that make a message valid.
func (c *Checker) compareWithOthers(d *Detail, data []byte) {
	looks, found := c.resembles(data)
	where := "the message looks like "
	if !found && d.Furthest != "" && len(d.Tried) > 0 {
		looks, found = c.contentResembles(d, data)
		where = "what it holds looks like "
	}
	if !found {
		return
	}
	d.LooksLike = looks.name
	d.Short = looks.words
	d.Text = where + looks.words + "; " + d.Text
}

// resembles says what a message looks like as a whole.
func (c *Checker) resembles(data []byte) (resemblance, bool) {
	if r, ok := otherEncoding(c, data); ok {
		return r, true
	}
	for _, s := range signatures {
		if bytes.HasPrefix(data, []byte(s.begins)) {
			return s.resemblance, true
		}
	}
	for _, recognize := range []func([]byte) (resemblance, bool){
		c.plainBurst, plainText, c.otherLengths, c.moreBytes, c.wrongLength, deflated, c.asText,
	} {
		if r, ok := recognize(data); ok {
			return r, true
		}
	}
	return resemblance{}, false
}

// readable says how a message can be read that is given in another form.
func (c *Checker) readable(data []byte) (Encoding, bool) {
	inner := Checker{MaxBurst: min(c.maxBurst(), DefaultMaxBurst)}
	r := inner.Check(data, Auto)
	return r.Encoding, r.Verdict != Invalid
}

// otherEncoding is for a message that is only invalid because of the pinned one.
func otherEncoding(c *Checker, data []byte) (resemblance, bool) {
	if c.Pinned == Auto {
		return resemblance{}, false
	}
	enc, ok := c.readable(data)
	return resemblance{"other_encoding", fmt.Sprintf("%s, not %s as INSPECT_ENCODING says", enc, c.Pinned)}, ok
}

// plainBurst is for a burst that was not compressed, whole or cut off.
func (c *Checker) plainBurst(data []byte) (resemblance, bool) {
	var w walk
	valid := w.burst(data)
	at := 0
	for r := range w.reasons.All() {
		if r.Verdict() == Invalid {
			at = int(w.first[r])
		}
	}
	switch {
	case valid && w.kinds != [kindCount]int{}:
		return resemblance{"not_compressed", "a StreamDataBurst that is not compressed"}, true
	case !valid && beginsLikeBurst(data) && (at > 0 || len(data) > 8):
		return resemblance{"not_compressed", fmt.Sprintf("a StreamDataBurst that is not compressed, and invalid at byte %d", at)}, true
	}
	return streamDataAlone(data)
}

// streamDataAlone is for a StreamData without the burst around it.
func streamDataAlone(data []byte) (resemblance, bool) {
	var w walk
	if len(data) > 0 && data[0]>>3 >= byte(firstMember) && w.streamData(data, 0, 0, len(data)) && w.kinds != [kindCount]int{} && w.reasons == 0 {
		return resemblance{"stream_data", "a StreamData without the StreamDataBurst around it"}, true
	}
	return resemblance{}, false
}

// plainText is for JSON.
func plainText(data []byte) (resemblance, bool) {
	text := bytes.TrimLeft(data, " \t\r\n")
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return resemblance{}, false
	}
	if json.Valid(text) {
		return resemblance{"json", "JSON"}, true
	}
	if len(text) > 2 && text[0] == '{' && (text[1] == '"' || text[1] == ' ' || text[1] == '\n') {
		return resemblance{"json", "JSON that is cut off or damaged"}, true
	}
	return resemblance{}, false
}

// deflated is for zlib data, whose first bytes are no proof.
func deflated(data []byte) (resemblance, bool) {
	if len(data) < 6 || data[0]&0x0f != 8 || binary.BigEndian.Uint16(data)%31 != 0 {
		return resemblance{}, false
	}
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return resemblance{}, false
	}
	if _, err := io.ReadFull(z, make([]byte, 16)); err != nil {
		return resemblance{}, false
	}
	return resemblance{"zlib", "zlib"}, true
}

// asText is for a message that went through a conversion to text.
func (c *Checker) asText(data []byte) (resemblance, bool) {
	if n := bytes.Count(data, []byte("\xef\xbf\xbd")); n > 4 && n > len(data)/30 {
		return resemblance{"text", "bytes that were converted to UTF-8 text, which loses some"}, true
	}
	if plain, ok := narrowed(data); ok {
		if enc, ok := c.readable(plain); ok {
			return resemblance{"text", fmt.Sprintf("a %s whose bytes were written as UTF-8 text", enc)}, true
		}
	}
	text := bytes.TrimRight(data, "\r\n")
	if len(text) < 8 {
		return resemblance{}, false
	}
	plain := make([]byte, len(text))
	if n, err := hex.Decode(plain, text); err == nil {
		if _, ok := c.readable(plain[:n]); ok {
			return resemblance{"hex", "a message written in hexadecimal"}, true
		}
	}
	if n, err := base64.StdEncoding.Decode(plain, text); err == nil {
		if enc, ok := c.readable(plain[:n]); ok {
			return resemblance{"base64", fmt.Sprintf("Base64 of a %s", enc)}, true
		}
	}
	return resemblance{}, false
}

// narrowed undoes that each byte was taken for a character and written as UTF-8.
func narrowed(data []byte) ([]byte, bool) {
	if !utf8.Valid(data) {
		return nil, false
	}
	plain := make([]byte, 0, len(data))
	for _, r := range string(data) {
		if r > 0xff {
			return nil, false
		}
		plain = append(plain, byte(r))
	}
	return plain, len(plain) < len(data)
}

// contentResembles says what that looks like which the message holds in the
// encoding that came furthest.
func (c *Checker) contentResembles(d *Detail, data []byte) (resemblance, bool) {
	enc, err := ParseEncoding(d.Furthest)
	if err != nil || enc == Auto {
		return resemblance{}, false
	}
	b, f := c.unpacker.unpack(enc, data, c.maxBurst())
	if f.err != nil || len(b) == 0 || len(b) > 4*AllowedBurst {
		return resemblance{}, false
	}
	if inner, ok := c.readable(b); ok && (inner != Pickle || b[0] != 0) {
		return resemblance{"compressed_twice", fmt.Sprintf("a %s: compressed twice", inner)}, true
	}
	for _, s := range signatures {
		if bytes.HasPrefix(b, []byte(s.begins)) {
			return s.resemblance, true
		}
	}
	if size, n := protowire.ConsumeVarint(b); n > 0 && size == uint64(len(b)-n) {
		var w walk
		if w.burst(b[n:]) {
			return resemblance{"delimited", "a StreamDataBurst behind its length (writeDelimitedTo)"}, true
		}
	}
	if r, ok := plainText(b); ok {
		return r, true
	}
	return streamDataAlone(b)
}
