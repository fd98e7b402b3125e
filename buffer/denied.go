package buffer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// whoMayNotAsk is another way to learn who serves which slot where the user may
// not ask CLUSTER SLOTS, and nil where it may.
func (b *Buffer) whoMayNotAsk(ctx context.Context, o Options) (func(context.Context) ([]redis.ClusterSlot, error), error) {
	seeds, err := o.Connection.seeds()
	if err != nil {
		return nil, err
	}
	if !redis.HasErrorPrefix(b.rdb.ClusterSlots(ctx).Err(), "NOPERM") {
		// Any other error is of the node that was asked, which may be a dead one
		// of several; what is asked next shows whether the cluster is there.
		return nil, nil
	}
	b.log.Info("the Redis user may not CLUSTER SLOTS: slots are learnt one by one, which takes longer")
	return func(ctx context.Context) ([]redis.ClusterSlot, error) {
		var failed error
		for _, addr := range seeds {
			ranges, err := b.slotsFrom(ctx, o, addr)
			if err == nil {
				return ranges, nil
			}
			failed = errors.Join(failed, err)
		}
		return nil, failed
	}, nil
}

// seeds are the addresses in the URL.
func (c Connection) seeds() ([]string, error) {
	u, err := c.parse()
	if err != nil {
		return nil, err
	}
	o, err := c.options(u)
	if err != nil {
		return nil, err
	}
	return append([]string{o.Addr}, u.Query()["addr"]...), nil
}

// slotsFrom learns the slots from one node.
func (b *Buffer) slotsFrom(ctx context.Context, o Options, addr string) ([]redis.ClusterSlot, error) {
	u, err := o.Connection.parse()
	if err != nil {
		return nil, err
	}
	options, err := o.Connection.options(u)
	if err != nil {
		return nil, err
	}
	options.Addr = addr
	// A node sends most of what it is asked on to others: no error to count.
	node := redis.NewClient(options)
	defer func() { _ = node.Close() }()
	return b.slotRanges(ctx, node)
}

// slotRanges learns from one node who serves which slot, where the user may not
// ask CLUSTER SLOTS: a node answers for its own slots and names the master of
// any other. Replicas are not found so, and not needed.
func (b *Buffer) slotRanges(ctx context.Context, node *redis.Client) ([]redis.ClusterSlot, error) {
	owners := make([]string, slotCount)
	for part := range slices.Chunk(b.probeKeys(b.names.StreamPrefix), probeBatch) {
		pipe := node.Pipeline()
		for _, key := range part {
			pipe.Exists(ctx, key)
		}
		cmds, _ := pipe.Exec(ctx)
		for i, cmd := range cmds {
			owner, err := ownerIn(cmd.Err(), node.Options().Addr)
			if err != nil {
				return nil, fmt.Errorf("learning the slots of the cluster: %w", err)
			}
			owners[slotOf(part[i])] = owner
		}
	}
	var ranges []redis.ClusterSlot
	for slot, owner := range owners {
		switch last := len(ranges) - 1; {
		case owner == "":
		case last >= 0 && ranges[last].End == slot-1 && ranges[last].Nodes[0].Addr == owner:
			ranges[last].End = slot
		default:
			ranges = append(ranges, redis.ClusterSlot{Start: slot, End: slot, Nodes: []redis.ClusterNode{{Addr: owner}}})
		}
	}
	return ranges, nil
}

// ownerIn reads who serves a slot from a node's answer about it.
func ownerIn(err error, self string) (string, error) {
	var reply redis.Error
	if err == nil || !errors.As(err, &reply) {
		return self, err
	}
	words := strings.Fields(reply.Error())
	switch {
	case words[0] == "MOVED" && len(words) == 3:
		return words[2], nil
	case words[0] == "ASK":
		return self, nil
	case words[0] == "CLUSTERDOWN":
		return "", nil
	}
	return "", err
}
