package burst

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/burst/pb"
)

// PackSessionJSON makes a message whose burst holds a Session JSON and nothing
// else. It fails on what is not UTF-8, and with [ErrTooLarge] on what is longer
// than a burst may be.
func PackSessionJSON(enc Encoding, sessionJSON []byte) ([]byte, error) {
	raw, err := sessionBurst(sessionJSON)
	if err != nil {
		return nil, err
	}
	return Pack(enc, nil, raw)
}

// PackedSessionJSON returns the encoding in which a message is what
// [PackSessionJSON] makes of a Session JSON, and [Auto] if it is not.
func PackedSessionJSON(data, sessionJSON []byte) Encoding {
	raw, err := sessionBurst(sessionJSON)
	if err != nil {
		return Auto
	}
	for _, enc := range Encodings() {
		if content, err := Unpack(enc, data, len(raw)); err == nil && bytes.Equal(content, raw) {
			return enc
		}
	}
	return Auto
}

// sessionBurst is a burst that holds a Session JSON, serialized.
func sessionBurst(sessionJSON []byte) ([]byte, error) {
	raw, err := proto.Marshal(&pb.StreamDataBurst{Data: []*pb.StreamData{
		{Data: &pb.StreamData_SessionJson{SessionJson: string(sessionJSON)}},
	}})
	if err != nil {
		return nil, fmt.Errorf("serializing a Session JSON of %d bytes: %w", len(sessionJSON), err)
	}
	if len(raw) > AllowedBurst {
		return nil, fmt.Errorf("a burst with a Session JSON of %d bytes: %w", len(sessionJSON), ErrTooLarge)
	}
	return raw, nil
}
