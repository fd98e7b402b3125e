// Package burst judges one message of an RTA stream: the bytes of its `data`
// field in, a verdict out. It knows neither Redis nor any other package of the
// program.
//
// The RTA documentation ("Streaming to Redis", "WebSocket protocol") says that a
// message is a StreamDataBurst "compressed in a block using LZ4" and no more.
// Producers have read that in six ways, and nothing in a message says which, so
// the first half of the package finds out: [Unpack] takes an [Encoding] apart as
// the LZ4 block format and LZ4 frame format descriptions have it, and [Checker]
// tries the possible encodings in turn until one yields a valid burst.
//
// The second half walks the burst as protobuf wrote it, along the documentation's
// net_stream.proto and model_data.proto, without building a single object. What a
// client could not read is [Invalid]; what it can read, but what goes against the
// documentation's advice or is not fully understood, is [Warn]. Each finding is a
// [Reason] out of a short fixed list, fit for a metric's label.
//
// Everything here is bounded whatever the bytes are. No length that a message
// claims is believed: memory is taken only after a walk over the compressed bytes
// has shown how long they are uncompressed, and never beyond a limit.
//
// [Pack] goes the other way, and [Checker.Decode] shows a burst to a person.
package burst
