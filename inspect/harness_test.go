package inspect

import (
	"fmt"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/proto"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/burst/pb"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// payload is a valid burst of about size bytes, packed.
func payload(tb testing.TB, enc burst.Encoding, size int) []byte {
	tb.Helper()
	event := &pb.StreamData{Data: &pb.StreamData_RowData{RowData: &pb.RowData{
		ChannelIds: []uint32{1}, Buffer: noise(size),
	}}}
	message, err := proto.Marshal(&pb.StreamDataBurst{Data: []*pb.StreamData{event}})
	if err != nil {
		tb.Fatal(err)
	}
	packed, err := burst.Pack(enc, nil, message)
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

// noise is what LZ4 cannot shorten.
func noise(size int) []byte {
	b, x := make([]byte, size), uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

// corpusMessage is a line of the messages that were made with other
// implementations of LZ4 and protobuf.
type corpusMessage struct {
	Name     string
	Expect   string
	Encoding string
	Size     *int64
	Kinds    map[string]int
	Why      string
	Data     []byte
}

// agrees reports what differs between a judgement and the corpus.
func (want corpusMessage) agrees(got Message) error {
	size := int64(0)
	if want.Size != nil {
		size = *want.Size
	}
	if got.Verdict.String() != want.Expect || got.Encoding.String() != want.Encoding || got.Size != size ||
		fmt.Sprint(got.Kinds) != fmt.Sprint(want.Kinds) {
		return fmt.Errorf("%s %q %d %v (%s), want %s %q %d %v (%s)", got.Verdict, got.Encoding, got.Size, got.Kinds,
			got.Reasons, want.Expect, want.Encoding, size, want.Kinds, want.Why)
	}
	return nil
}

// open connects as streamkeeper does, unable to write.
func open(tb testing.TB, addr string, change ...func(*buffer.Options)) *buffer.Buffer {
	tb.Helper()
	o := buffer.Options{Connection: redisconn.Connection{URL: "redis://" + addr}, ReadOnly: true}
	for _, f := range change {
		f(&o)
	}
	b, err := buffer.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

// fake starts a miniredis and a client that writes to it.
func fake(tb testing.TB) (addr string, rdb *redis.Client) {
	tb.Helper()
	m := miniredis.RunT(tb)
	rdb = redis.NewClient(&redis.Options{Addr: m.Addr(), Protocol: 2})
	tb.Cleanup(func() { _ = rdb.Close() })
	return m.Addr(), rdb
}

// add appends a message to a stream and lists the stream.
func add(tb testing.TB, rdb *redis.Client, stream, id string, fields ...any) {
	tb.Helper()
	ctx := tb.Context()
	pipe := rdb.Pipeline()
	pipe.SAdd(ctx, "streams", stream)
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + stream, ID: id, Values: fields})
	if _, err := pipe.Exec(ctx); err != nil {
		tb.Fatal(err)
	}
}

// millis is an id of a time that many milliseconds after some day.
func millis(ms int) string { return fmt.Sprintf("%d-0", 1_700_000_000_000+ms) }

func inspectAll(tb testing.TB, i *Inspector) ([]Message, Report) {
	tb.Helper()
	var messages []Message
	report, err := i.Run(tb.Context(), func(m Message) { messages = append(messages, m) })
	if err != nil {
		tb.Fatal(err)
	}
	return messages, report
}
