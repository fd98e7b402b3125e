package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

// errNamelessNode is a node of a cluster that says of itself neither a name nor an
// address.
var errNamelessNode = errors.New("a node of the cluster does not tell its address: " +
	"set cluster-announce-hostname on each node, or cluster-preferred-endpoint-type to ip")

// unknownHost stands for a node's name where it was given none.
const unknownHost = "?"

// topology reads CLUSTER SLOTS where go-redis does not: a host may be NULL, which
// is the one that was asked, or not known.
type topology struct {
	mu sync.Mutex
	// asked is the host that last answered with NULL for a host, else the URL's.
	// A redirection without a host means it, too.
	asked string
}

func newTopology(t target) *topology {
	host, _, _ := net.SplitHostPort(t.addrs[0])
	return &topology{asked: host}
}

func (t *topology) sameHost() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asked
}

// dialer fills in the host that a redirection left out.
func (t *topology) dialer(next func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(addr)
		switch {
		case err != nil:
		case host == "":
			addr = net.JoinHostPort(t.sameHost(), port)
		case host == unknownHost:
			return nil, errNamelessNode
		}
		return next(ctx, network, addr)
	}
}

// hook answers go-redis's CLUSTER SLOTS for one node.
func (t *topology) hook(node string) redis.Hook { return slotsHook{t, node} }

type slotsHook struct {
	topology *topology
	node     string
}

func (slotsHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h slotsHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		typed, ok := cmd.(*redis.ClusterSlotsCmd)
		if !ok {
			return next(ctx, cmd)
		}
		raw := redis.NewCmd(ctx, cmd.Args()...)
		err := next(ctx, raw)
		if err == nil {
			var slots []redis.ClusterSlot
			if slots, err = h.topology.read(raw.Val(), h.node); err == nil {
				typed.SetVal(slots)
			}
		}
		if err != nil {
			typed.SetErr(err)
		}
		return err
	}
}

func (slotsHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// read makes slots of an answer to CLUSTER SLOTS that a node gave.
func (t *topology) read(answer any, node string) ([]redis.ClusterSlot, error) {
	ranges, ok := answer.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: CLUSTER SLOTS gave no list", ErrIncomplete)
	}
	host, _, _ := net.SplitHostPort(node)
	host = cmp.Or(host, t.sameHost())
	slots := make([]redis.ClusterSlot, 0, len(ranges))
	for _, r := range ranges {
		fields, _ := r.([]any)
		if len(fields) < 3 {
			return nil, fmt.Errorf("%w: CLUSTER SLOTS gave a range without a node", ErrIncomplete)
		}
		first, okFirst := fields[0].(int64)
		last, okLast := fields[1].(int64)
		if !okFirst || !okLast || first < 0 || last < first || last >= slotCount {
			return nil, fmt.Errorf("%w: CLUSTER SLOTS gave a range that is none", ErrIncomplete)
		}
		slot := redis.ClusterSlot{Start: int(first), End: int(last)}
		for _, f := range fields[2:] {
			n, err := t.readNode(f, host)
			if err != nil {
				return nil, err
			}
			slot.Nodes = append(slot.Nodes, n)
		}
		slots = append(slots, slot)
	}
	return slots, nil
}

// readNode reads what is said of one node by one that was asked at a host.
func (t *topology) readNode(value any, asked string) (n redis.ClusterNode, err error) {
	fields, _ := value.([]any)
	if len(fields) < 2 {
		return n, fmt.Errorf("%w: CLUSTER SLOTS gave a node without an address", ErrIncomplete)
	}
	port, ok := fields[1].(int64)
	if !ok || port < 0 || port > 65535 {
		return n, fmt.Errorf("%w: CLUSTER SLOTS gave a node without a port", ErrIncomplete)
	}
	if len(fields) > 2 {
		n.ID, _ = fields[2].(string)
	}
	if len(fields) > 3 {
		n.NetworkingMetadata = pairs(fields[3])
	}
	// An empty host is what Redis 6 says of itself before it met others.
	host, named := fields[0].(string)
	switch {
	case !named || host == "":
		host = asked
		t.mu.Lock()
		t.asked = asked
		t.mu.Unlock()
	case host == unknownHost:
		// Its address stands beside, unless the node has none.
		host = cmp.Or(n.NetworkingMetadata["ip"], unknownHost)
	}
	n.Addr = net.JoinHostPort(host, strconv.FormatInt(port, 10))
	if _, _, err := net.SplitHostPort(n.Addr); err != nil {
		return n, fmt.Errorf("%w: CLUSTER SLOTS gave a node the host %q: want a name or an address", ErrIncomplete, host)
	}
	return n, nil
}

// pairs reads a map as it stands in an answer of either protocol.
func pairs(value any) map[string]string {
	found := make(map[string]string)
	switch value := value.(type) {
	case []any:
		for i := 0; i+1 < len(value); i += 2 {
			found[fmt.Sprint(value[i])] = fmt.Sprint(value[i+1])
		}
	case map[any]any:
		for k, v := range value {
			found[fmt.Sprint(k)] = fmt.Sprint(v)
		}
	}
	return found
}
