package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// seedLua adds entries to numbered streams, as fast as the server can.
//
// ARGV: prefix of the names, first number, last number, entries a stream,
// bytes an entry, milliseconds of the first id, the set of names
const seedLua = `
local payload = string.rep('x', tonumber(ARGV[5]))
for n = tonumber(ARGV[2]), tonumber(ARGV[3]) do
  local name = ARGV[1] .. string.format('%07d', n)
  local key = 'stream:' .. name
  for i = 1, tonumber(ARGV[4]) do
    redis.call('XADD', key, ARGV[6] .. '-' .. i, 'type', '3', 'payload', payload)
  end
  if ARGV[7] ~= '' then redis.call('SADD', ARGV[7], name) end
end`

// listedEntryBytes is the size of an entry of the streams that need nothing.
const listedEntryBytes = 100

// seedStreams makes streams that need nothing, all listed.
func (l *lab) seedStreams(ctx context.Context, streams, entries int) error {
	const chunk = 1000
	now := time.Now().UnixMilli()
	seed := redis.NewScript(seedLua)
	for first := 0; first < streams; first += chunk {
		last := min(streams, first+chunk) - 1
		err := seed.Run(ctx, l.rdb(), nil, "car-", first, last, entries, listedEntryBytes, now, "streams").Err()
		if err = ignoreNil(err); err != nil {
			return fmt.Errorf("seeding: %w", err)
		}
	}
	return nil
}

// seedTemplate makes one unlisted stream that [lab.copyTemplate] copies.
func (l *lab) seedTemplate(ctx context.Context, entries, bytesEach int) error {
	return seedGiant(ctx, l.rdb(), template, entries, bytesEach)
}

// seedGiant makes one unlisted stream, of whose name the prefix is given.
func seedGiant(ctx context.Context, rdb *redis.Client, prefix string, entries, bytesEach int) error {
	const chunk = 5000
	now := time.Now().UnixMilli()
	seed := redis.NewScript(seedLua)
	for n := 0; n < entries; n += chunk {
		err := seed.Run(ctx, rdb, nil, prefix, 0, 0, min(chunk, entries-n), bytesEach, now+int64(n), "").Err()
		if ignoreNil(err) != nil {
			return fmt.Errorf("seeding: %w", err)
		}
	}
	return nil
}

const template = "template-"

// copyTemplate gives each of the streams a fresh copy and lists no others.
func (l *lab) copyTemplate(ctx context.Context, names []string) error {
	if err := l.rdb().Del(ctx, "streams").Err(); err != nil {
		return err
	}
	for len(names) > 0 {
		n := min(500, len(names))
		_, err := l.rdb().Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, name := range names[:n] {
				p.SAdd(ctx, "streams", name)
				p.Copy(ctx, "stream:"+template+"0000000", "stream:"+name, 0, true)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("copying the template: %w", err)
		}
		names = names[n:]
	}
	return nil
}

func ignoreNil(err error) error {
	if err == redis.Nil { //nolint:errorlint // the client returns it bare
		return nil
	}
	return err
}

// commands is Redis's wire form of one or more commands a stream.
func commands(streams int, each ...string) []byte {
	var b bytes.Buffer
	for n := range streams {
		for _, c := range each {
			writeCommand(&b, c, fmt.Sprintf("stream:car-%07d", n))
		}
	}
	return b.Bytes()
}

// writeCommand writes a command in whose place KEY a key goes.
func writeCommand(b *bytes.Buffer, command, key string) {
	words := strings.Fields(strings.ReplaceAll(command, "KEY", key))
	fmt.Fprintf(b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(b, "$%d\r\n%s\r\n", len(w), w)
	}
}

// pipe feeds commands to redis-cli --pipe: about the fastest that there is.
func (l *lab) pipe(ctx context.Context, input []byte) error { return l.pipeInto(ctx, "0", input) }

func (l *lab) pipeInto(ctx context.Context, database string, input []byte) error {
	return pipeTo(ctx, l.server.Addr, database, input)
}

func pipeTo(ctx context.Context, addr, database string, input []byte) error {
	host, port, _ := strings.Cut(addr, ":")
	c := exec.CommandContext(ctx, "redis-cli", "-h", host, "-p", port, "-n", database, "--pipe")
	c.Stdin = bytes.NewReader(input)
	out, err := c.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("errors: 0")) {
		return fmt.Errorf("redis-cli --pipe: %w: %s", err, out)
	}
	return nil
}
