package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// withMissingRights adds to an error about one right all that are missing.
func withMissingRights(ctx context.Context, b *buffer.Buffer, u buffer.Uses, err error) error {
	if redisconn.ClassOf(err) != redisconn.ClassAuth {
		return err
	}
	if text := missingRights(ctx, b, u); text != "" {
		return fmt.Errorf("%w\nIn all, the Redis user lacks: %s", err, text)
	}
	return err
}

// missingRights are all words that the user's rule lacks; "" for none, and why
// they cannot be known where that is so.
func missingRights(ctx context.Context, b *buffer.Buffer, u buffer.Uses) string {
	words, err := b.MissingRights(context.WithoutCancel(ctx), u)
	if err != nil {
		return "(not known: " + err.Error() + ")"
	}
	return strings.Join(words, " ")
}

// chosenUses are what some jobs need, done once.
func chosenUses(o Options, names []string) buffer.Uses {
	u := uses(o)
	u.Serve, u.Lease, u.Trim, u.Cleanup, u.Inspect = false, false, false, false, false
	for _, name := range names {
		switch name {
		case jobs.Trim:
			u.Trim = true
		case jobs.Cleanup:
			u.Cleanup = true
		case jobs.Inspect:
			u.Inspect = true
		}
	}
	return u
}
