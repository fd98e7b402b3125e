package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
)

// ownProcess is a side that this program is in one of its modes, in a fresh
// process whose memory is looked at.
func ownProcess(name, mode, url string) side {
	return side{name, func(ctx context.Context) (figures, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		out, err := exec.CommandContext(ctx, self, mode, url).Output()
		if err != nil {
			return nil, fmt.Errorf("the %s: %w", mode, err)
		}
		found := figures{}
		return found, json.Unmarshal(out, &found)
	}}
}

// inOwnProcess does the work of such a side, and prints how long it took and
// the most memory that this process ever held.
func inOwnProcess(ctx context.Context, url string, work func(*buffer.Buffer) error) error {
	b, err := open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	started := time.Now()
	if err := work(b); err != nil {
		return err
	}
	took := time.Since(started)
	kib, err := peakMemory()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(figures{"s": took.Seconds(), "rss MiB": kib / 1024})
}

func peakMemory() (kib float64, err error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(status, []byte("VmHWM:"))
	line, _, _ := strings.Cut(string(rest), " kB")
	return strconv.ParseFloat(strings.TrimSpace(line), 64)
}
