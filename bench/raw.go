package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// The pages that clean-up asks for, for the raw walks to ask alike.
const (
	hashPage = 200
	keyPage  = 300
)

// rawConn is a connection whose replies are thrown away.
type rawConn struct {
	net.Conn
	in *bufio.Reader
}

// raw runs a walk over a connection of its own.
func (l *lab) raw(ctx context.Context, walk func(*rawConn) error) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.server.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return walk(&rawConn{conn, bufio.NewReaderSize(conn, 32<<10)})
}

// walkHash reads all pages of the Hash of sessions.
func (c *rawConn) walkHash() error {
	return c.walk(func(cursor string) string { return fmt.Sprintf("HSCAN sessions %s COUNT %d\r\n", cursor, hashPage) },
		func(items int) error { return c.skip(items) })
}

// walkKeys reads the fields that matter of each session's key.
func (c *rawConn) walkKeys() error {
	return c.walk(
		func(cursor string) string {
			return fmt.Sprintf("SCAN %s MATCH sessions:* COUNT %d TYPE hash\r\n", cursor, keyPage)
		},
		func(keys int) error {
			var ask strings.Builder
			for range keys {
				key, err := c.bulk()
				if err != nil {
					return err
				}
				ask.WriteString("HMGET " + key + " streamName lastUpdated updated streamSessionId\r\n")
			}
			if _, err := io.WriteString(c, ask.String()); err != nil {
				return err
			}
			for range keys {
				fields, err := c.size()
				if err := errors.Join(err, c.skip(fields)); err != nil {
					return err
				}
			}
			return nil
		})
}

func (c *rawConn) walk(command func(cursor string) string, page func(items int) error) error {
	for cursor := "0"; ; {
		if _, err := io.WriteString(c, command(cursor)); err != nil {
			return err
		}
		var items int
		_, err := c.size()
		if err == nil {
			cursor, err = c.bulk()
		}
		if err == nil {
			items, err = c.size()
		}
		if err == nil {
			err = page(items)
		}
		if err != nil || cursor == "0" {
			return err
		}
	}
}

// size reads the head of an array or a string; -1 for none.
func (c *rawConn) size() (int, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 3 || line[0] != '*' && line[0] != '$' {
		return 0, fmt.Errorf("reply %q", line)
	}
	return strconv.Atoi(string(line[1 : len(line)-2]))
}

func (c *rawConn) bulk() (string, error) {
	n, err := c.size()
	if err != nil {
		return "", err
	}
	text := make([]byte, n+2)
	_, err = io.ReadFull(c.in, text)
	return string(text[:n]), err
}

// skip throws strings away.
func (c *rawConn) skip(count int) error {
	for range count {
		n, err := c.size()
		if err == nil && n >= 0 {
			_, err = c.in.Discard(n + 2)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
