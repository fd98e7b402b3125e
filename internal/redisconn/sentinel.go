package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/rescue"
)

// sentinels find the server that is the master now. They are asked before each
// new connection: at a failover they end those to the old master, and a server
// that has become a replica refuses the first write, after which go-redis
// gives the connection up.
type sentinels struct {
	master  string
	options redis.Options
	login   login
	dialer  dialFunc

	mu    sync.Mutex
	addrs []string
}

// newSentinels takes the Sentinels from the URL, and how to reach them from
// the options of the data server, except for user and password.
func newSentinels(c Connection, t target, data *redis.Options) *sentinels {
	s := &sentinels{
		master: t.master,
		addrs:  t.addrs,
		login:  c.sentinelLogin(),
		dialer: c.dialer(data.TLSConfig),
		options: redis.Options{
			Dialer: c.dialer(data.TLSConfig), TLSConfig: data.TLSConfig, DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
			ContextTimeoutEnabled: true, Protocol: 2, DisableIdentity: true, DialerRetries: 1, MaxRetries: -1,
			MaintNotificationsConfig:   noMaintNotifications(),
			CredentialsProviderContext: c.sentinelLogin().credentials,
		},
	}
	return s
}

// dial connects to the master.
func (s *sentinels) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	addr, err := s.find(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the Sentinels for the master %q: %w", s.master, err)
	}
	return s.dialer(ctx, network, addr)
}

// find asks all Sentinels at once; the first answer counts.
func (s *sentinels) find(ctx context.Context) (string, error) {
	s.mu.Lock()
	addrs := slices.Clone(s.addrs)
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		master string
		others []string
		err    error
	}
	answers := make(chan answer, len(addrs))
	for _, addr := range addrs {
		go func() {
			var a answer
			a.err = rescue.Call(func() (err error) {
				a.master, a.others, err = s.ask(ctx, addr)
				return err
			})
			answers <- a
		}()
	}
	var failed failures
	for range addrs {
		a := <-answers
		if a.err == nil {
			s.learn(a.others)
			return a.master, nil
		}
		failed = append(failed, a.err)
	}
	return "", failed
}

// ask asks one Sentinel for the master, and for the other Sentinels.
func (s *sentinels) ask(ctx context.Context, addr string) (master string, others []string, err error) {
	o := s.options
	o.Addr = addr
	client := redis.NewSentinelClient(&o)
	client.AddHook(missing{})
	defer func() { _ = client.Close() }()
	reply, err := client.GetMasterAddrByName(ctx, s.master).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return "", nil, fmt.Errorf("the Sentinel at %s knows no such master: check master_name in REDIS_URL", addr)
	case err != nil:
		return "", nil, sentinelError{fmt.Errorf("the Sentinel at %s: %w", addr, s.explain(err))}
	case len(reply) != 2:
		return "", nil, fmt.Errorf("the Sentinel at %s gave %d words for an address", addr, len(reply))
	}
	// Those that the URL does not name are a help, not a need.
	known, _ := client.Sentinels(ctx, s.master).Result()
	for _, k := range known {
		if k["ip"] != "" && k["port"] != "" {
			others = append(others, net.JoinHostPort(k["ip"], k["port"]))
		}
	}
	return net.JoinHostPort(reply[0], reply[1]), others, nil
}

// explain says what may mend an answer of a Sentinel.
func (s *sentinels) explain(err error) error {
	if explained := s.login.explain(err); explained != nil {
		return explained
	}
	text := strings.ToLower(err.Error())
	if strings.Contains(text, "unknown command") && strings.Contains(text, "sentinel") {
		return fmt.Errorf("%w: %w", errNoSentinel, err)
	}
	return err
}

// errNoSentinel is a server that a URL names as a Sentinel.
var errNoSentinel = errors.New("it is no Sentinel: name one (the usual port is " + sentinelPort + "), or leave master_name out of the URL to use this server itself")

// sentinelError is an error of a Sentinel, and not of the data server.
type sentinelError struct{ error }

func (e sentinelError) Unwrap() error { return e.error }

// failures are errors on one line, each once.
type failures []error

func (f failures) Error() string {
	var texts []string
	for _, err := range f {
		if text := err.Error(); !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "; ")
}

func (f failures) Unwrap() []error { return f }

// maxSentinels bounds how many are asked.
const maxSentinels = 9

// learn remembers Sentinels that the URL does not name.
func (s *sentinels) learn(addrs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, addr := range addrs {
		if len(s.addrs) < maxSentinels && !slices.Contains(s.addrs, addr) {
			s.addrs = append(s.addrs, addr)
		}
	}
}
