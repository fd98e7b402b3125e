package cleanup_test

import (
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// stepped runs clean-up, with its options changed, over a connection on which
// before is called at each command.
func (w *fixture) stepped(change func(*cleanup.Options), before func(n int, command string) error) error {
	p := w.through(before)
	b, err := buffer.Open(w.t.Context(), buffer.Options{Connection: redisconn.Connection{URL: p.url()}, Layouts: w.layouts})
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	_, err = cleanup.New(b, w.options(change)).Run(w.t.Context())
	return err
}

// commands are those that something sends which works on what prepare makes, in their
// order.
func (w *fixture) commands(prepare func(), work func(before func(n int, command string) error) error) []string {
	w.t.Helper()
	runs := 2 // the first sends the scripts too
	if w.only != "" {
		runs = 1 // which does not count
	}
	var commands []string
	for range runs {
		prepare()
		commands = nil
		w.noError(work(func(_ int, command string) error {
			commands = append(commands, command)
			return nil
		}))
	}
	if len(commands) == 0 {
		w.t.Fatal("no command is sent")
	}
	return commands
}

// cuts are the numbers of the commands before which somebody who is cut off leaves
// Redis as nobody does who is cut off at an earlier one: the first, and those after
// one that may write.
func (w *fixture) cuts(commands []string) []int {
	w.t.Helper()
	known, err := w.Client.Command(w.t.Context()).Result()
	w.noError(err)
	var cuts []int
	for i := range commands {
		if i == 0 || mayWrite(known, commands[i-1]) {
			cuts = append(cuts, i+1)
		}
	}
	return cuts
}

// mayWrite goes by what the server says of a command: that it writes, or that it runs a
// script and not that it only reads.
func mayWrite(known map[string]*redis.CommandInfo, command string) bool {
	name, _, _ := strings.Cut(command, " ")
	info := known[name]
	return info == nil || slices.Contains(info.Flags, "write") || slices.Contains(info.ACLFlags, "@scripting") && !info.ReadOnly
}

// runCommands are the commands of a run, with its options changed, on what prepare makes.
func (w *fixture) runCommands(change func(*cleanup.Options), prepare func()) []string {
	w.t.Helper()
	return w.commands(prepare, func(before func(int, string) error) error { return w.stepped(change, before) })
}

// runCuts are the cuts of a run, with its options changed, on what prepare makes.
func (w *fixture) runCuts(change func(*cleanup.Options), prepare func()) []int {
	w.t.Helper()
	return w.cuts(w.runCommands(change, prepare))
}

// runCutAt runs clean-up, with its options changed, until the command of that number,
// counted from 1, is to be sent, and expects it to notice.
func (w *fixture) runCutAt(cut int, change func(*cleanup.Options)) {
	w.t.Helper()
	if err := w.stepped(change, func(n int, _ string) error {
		if n == cut {
			return errDead
		}
		return nil
	}); err == nil {
		w.t.Fatalf("command %d: the run does not notice that it is cut off", cut)
	}
}
