package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// answered sees to it that no command looks answered that was not, or not in
// full: what is decided rests on replies. It is the innermost hook, where errors
// are still those of go-redis.
type answered struct{}

// DialHook marks errors of who gets no connection: nothing was sent.
func (answered) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			err = markUnsent(err)
		}
		return conn, err
	}
}

func (answered) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		switch {
		case err == nil:
			if err = incomplete(cmd); err != nil {
				cmd.SetErr(err)
			}
		case isHandshakeOf(cmd):
			err = markUnsent(err)
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook gives a pipeline's own error, as of a new connection that
// the server refused, to each command that has none: go-redis leaves them
// without a value and without an error.
func (answered) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err != nil && isHandshakeOf(cmds[0]) {
			err = markUnsent(err)
			cmds[0].SetErr(err)
		}
		ofOne := slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return errors.Is(cmd.Err(), err) })
		if err != nil && !ofOne {
			for _, cmd := range cmds {
				if cmd.Err() == nil {
					cmd.SetErr(err)
				}
			}
			return err
		}
		for _, cmd := range cmds {
			if cmd.Err() != nil {
				continue
			}
			if wrong := incomplete(cmd); wrong != nil {
				cmd.SetErr(wrong)
				if err == nil {
					err = wrong
				}
			}
		}
		return err
	}
}

// ErrIncomplete is returned for a reply that does not hold what was asked for.
var ErrIncomplete = errors.New("the reply is not complete")

// beside are how many words a command has beside the members or fields that it
// asks for, each of which gets a value.
var beside = map[string]int{"hmget": 2, "smismember": 2, "zmscore": 2, "mget": 1}

// incomplete checks the replies whose length the question says. Most commands are of
// other types, and their names are not looked at.
func incomplete(cmd redis.Cmder) error {
	var have int
	switch cmd := cmd.(type) {
	case *redis.Cmd, *scriptCmd:
		if value, _ := cmd.(interface{ Val() any }); value.Val() == nil {
			return fmt.Errorf("%w: none came to %s", ErrIncomplete, strings.ToUpper(cmd.Name()))
		}
		return nil
	case *redis.SliceCmd:
		have = len(cmd.Val())
	case *redis.BoolSliceCmd:
		have = len(cmd.Val())
	case *redis.FloatSliceCmd:
		have = len(cmd.Val())
	default:
		return nil
	}
	words, sized := beside[cmd.Name()]
	if want := len(cmd.Args()) - words; sized && have != want {
		return fmt.Errorf("%w: %d values to %s instead of %d", ErrIncomplete, have, strings.ToUpper(cmd.Name()), want)
	}
	return nil
}
