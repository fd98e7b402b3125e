package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"time"
)

// neighbourMode is the argument that makes this program a neighbour.
const neighbourMode = "neighbour"

// latencies are a neighbour's, in milliseconds.
type latencies struct{ P50, P99, Max float64 }

// neighbour is a producer in a process of its own, so that it waits for Redis
// and not for this program's garbage collector.
type neighbour struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out bytes.Buffer
}

func (l *lab) startNeighbour(ctx context.Context) (*neighbour, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := &neighbour{cmd: exec.CommandContext(ctx, self, neighbourMode, l.server.Addr)}
	n.cmd.Stdout, n.cmd.Stderr = &n.out, os.Stderr
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	// It counts from its second tenth of a second on.
	time.Sleep(2 * warmUp)
	return n, nil
}

// stop ends the neighbour and takes what it saw.
func (n *neighbour) stop() (latencies, error) {
	var seen latencies
	err := n.in.Close()
	if err := errors.Join(err, n.cmd.Wait()); err != nil {
		return seen, fmt.Errorf("the neighbour: %w", err)
	}
	return seen, json.Unmarshal(n.out.Bytes(), &seen)
}

// beside runs work with a neighbour and returns what the neighbour saw.
func (l *lab) beside(ctx context.Context, work func() error) (latencies, error) {
	n, err := l.startNeighbour(ctx)
	if err != nil {
		return latencies{}, err
	}
	err = work()
	seen, stopErr := n.stop()
	return seen, errors.Join(err, stopErr)
}

const warmUp = 100 * time.Millisecond

// beNeighbour does XADD every half millisecond, on a bare connection, until
// its standard input ends; then it prints what it saw.
func beNeighbour(_ context.Context, addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	// In a cluster it writes where the set of streams lies.
	const add = "XADD neighbour{streams} MAXLEN ~ 1000 * payload 0123456789012345678901234567890123456789\r\n"
	reply := bufio.NewReader(conn)
	var took []float64
	started := time.Now()
	for tick := time.NewTicker(500 * time.Microsecond); ; <-tick.C {
		select {
		case <-ended:
			return json.NewEncoder(os.Stdout).Encode(summarize(took))
		default:
		}
		sent := time.Now()
		if _, err := io.WriteString(conn, add); err != nil {
			return err
		}
		for range 2 { // $<length>, <id>
			if _, err := reply.ReadSlice('\n'); err != nil {
				return err
			}
		}
		if time.Since(started) > warmUp {
			took = append(took, float64(time.Since(sent).Nanoseconds())/1e6)
		}
	}
}

func summarize(took []float64) latencies {
	if len(took) == 0 {
		return latencies{}
	}
	slices.Sort(took)
	return latencies{P50: took[len(took)/2], P99: took[len(took)*99/100], Max: took[len(took)-1]}
}
