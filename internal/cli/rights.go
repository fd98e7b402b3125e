package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
		return notKnown(err)
	}
	return strings.Join(words, " ")
}

// rightsPause is how long to wait before rights are asked for again: each one that
// is denied is a line in Redis's ACL LOG.
const rightsPause = 5 * time.Second

// onRedisError hears of each error of Redis, whoever sent the command.
func (d *daemon) onRedisError(class redisconn.Class) {
	d.observers.RedisError(class)
	if class != redisconn.ClassAuth {
		return
	}
	select {
	case d.denials <- struct{}{}:
	default: // it is known already
	}
}

// watchRights finds out all rights that are missing as soon as one is, be it of a
// job, the lease or a sign of life, and asks again until none is.
func (d *daemon) watchRights(ctx context.Context) {
	for {
		if d.rightsDenied() == "" {
			select {
			case <-d.denials:
			case <-ctx.Done():
				return
			}
		}
		d.askForRights(ctx)
		select {
		case <-time.After(rightsPause):
		case <-ctx.Done():
			return
		}
	}
}

// askForRights logs all rights that are missing when that has changed. Where they
// cannot be asked for, because the password is wrong or Redis is away, it is that
// which the page and the log say.
func (d *daemon) askForRights(ctx context.Context) {
	now := d.now.Load()
	if now == nil {
		return
	}
	words, err := now.buffer.MissingRights(ctx, d.uses())
	if err != nil && !errors.Is(err, redisconn.ErrProbing) {
		return
	}
	denied := strings.Join(words, " ")
	if err != nil {
		denied = notKnown(err)
	}
	d.mu.Lock()
	before := d.denied
	d.denied = denied
	d.mu.Unlock()
	switch {
	case denied == before:
	case denied != "":
		d.log.Error("rights missing", "rights", denied)
	default:
		d.log.Info("no right missing any more")
	}
}

// rightsDenied are the rights that were missing when last asked for, empty if none was.
func (d *daemon) rightsDenied() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.denied
}

// notKnown stands for the rights where they cannot be asked for.
func notKnown(err error) string { return "(not known: " + err.Error() + ")" }

// chosenUses are what some jobs need, done once.
func chosenUses(o Options, names []string) buffer.Uses {
	u := uses(o)
	u.Serve, u.Lease = false, false
	jobs.NoteUses(&u, func(job jobs.Job) bool { return slices.Contains(names, job.Name) })
	return u
}
