package redisconn

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// throughHooks sends a pipeline whose commands get these errors, and which has
// none of its own, as one to a node of a cluster.
func throughHooks(t *testing.T, errs map[string]string) (cmds []redis.Cmder, seen []Class) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		cmds = append(cmds, redis.NewCmd(t.Context(), name, "k"))
	}
	send := func(context.Context, []redis.Cmder) error {
		for _, cmd := range cmds {
			if text := errs[cmd.Name()]; text != "" {
				cmd.SetErr(replyError(text))
			}
		}
		return nil
	}
	send = observer{func(c Class) { seen = append(seen, c) }}.ProcessPipelineHook(send)
	send = missing{}.ProcessPipelineHook(send)
	if err := send(t.Context(), cmds); err != nil {
		t.Errorf("the pipeline as a whole fails: %v", err)
	}
	return cmds, seen
}

func TestAClusterPipelineThatFailsInPartIsCountedAndItsMissingRightNamed(t *testing.T) {
	cmds, seen := throughHooks(t, map[string]string{"get": "", "xtrim": "NOPERM this user has no permissions to run the 'xtrim' command"})
	if !slices.Equal(seen, []Class{ClassAuth}) {
		t.Errorf("counted: %q", seen)
	}
	if cmds[0].Err() != nil || !strings.Contains(cmds[1].Err().Error(), "lacks the right +xtrim") {
		t.Errorf("errors: %v, %v", cmds[0].Err(), cmds[1].Err())
	}
}

func TestADeniedAskingIsTheReasonOfTheCommandThatItWasFor(t *testing.T) {
	cmds, _ := throughHooks(t, map[string]string{
		"asking": "NOPERM this user has no permissions to run the 'asking' command", "xtrim": "MOVED 7 127.0.0.1:1",
	})
	if err := cmds[1].Err(); ClassOf(err) != ClassAuth || !strings.Contains(err.Error(), "lacks the right +asking") {
		t.Errorf("the error is %v", err)
	}
}
