package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultTimeout bounds dialling and one command: long enough for a server
// that saves its data, short enough that an operator still waits.
const DefaultTimeout = 5 * time.Second

// dialTries is how often go-redis dials for one command: what is refused twice
// is not there, and the command itself is tried again too.
const dialTries = 2

// quietClient keeps go-redis from writing to stderr on its own: what matters
// of it comes as an error.
var quietClient = sync.OnceFunc(func() { redis.SetLogger(discard{}) })

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// Connection says how to reach Redis.
type Connection struct {
	// URL is redis://, rediss:// or unix://; with ?master_name= it names
	// Sentinels, with several addr= a cluster.
	URL string
	// Username and Password override the URL's. PasswordFile is read again at
	// each new connection, so that a rotated secret is picked up.
	Username, Password, PasswordFile string
	// SentinelUsername, SentinelPassword and SentinelPasswordFile are for the
	// Sentinels themselves.
	SentinelUsername, SentinelPassword, SentinelPasswordFile string
	// TLS files, all PEM; any of them, or ServerName, turns TLS on.
	CAFile, CertFile, KeyFile, ServerName string
	// Timeout bounds dialling and one command; 0 means [DefaultTimeout].
	Timeout time.Duration
	// Resolver looks host names up; nil means the system's.
	Resolver *net.Resolver
	// Lines keep the connections, for who may have to end them all at once; nil for
	// nobody.
	Lines *Lines
}

// Validate reports what is wrong with the URL without connecting. The error
// never holds the URL's text, which may hold a password.
func (c Connection) Validate() error {
	_, err := c.target()
	return err
}

// Check reports what is wrong with the URL and with the files of TLS, without
// connecting.
func (c Connection) Check() error {
	t, err := c.target()
	if err != nil {
		return err
	}
	_, err = c.tlsConfig(t)
	return err
}

// Redacted is where the connection leads, without any secret.
func (c Connection) Redacted() string {
	t, err := c.target()
	if err != nil {
		return "(unreadable URL)"
	}
	return t.String()
}

// Database is the number of the database that the URL names.
func (c Connection) Database() int {
	t, _ := c.target()
	return t.database
}

// Sentinels reports whether the URL names Sentinels.
func (c Connection) Sentinels() bool {
	t, _ := c.target()
	return t.shape == ofSentinels
}

// MayBeCluster reports whether the URL may name a node of a cluster.
func (c Connection) MayBeCluster() bool {
	t, err := c.target()
	return err == nil && t.shape != ofSentinels && t.database == 0 && t.socket == ""
}

// client opens what the URL asks for; no connection is made yet. Each client
// that speaks to one server gets the hooks.
func (c Connection) client(hooks []redis.Hook) (redis.UniversalClient, error) {
	t, err := c.target()
	if err != nil {
		return nil, fmt.Errorf("reading the Redis URL: %w", err)
	}
	if t.shape == ofCluster {
		return c.clusterClient(hooks)
	}
	o, err := c.options(t)
	if err != nil {
		return nil, err
	}
	if t.shape == ofSentinels {
		o.Dialer = newSentinels(c, t, o).dial
	}
	return newClient(o, hooks), nil
}

func newClient(o *redis.Options, hooks []redis.Hook) *redis.Client {
	client := redis.NewClient(o)
	for _, hook := range hooks {
		client.AddHook(hook)
	}
	return client
}

// options are those of one server, or of the one that Sentinels name.
func (c Connection) options(t target) (*redis.Options, error) {
	config, err := c.tlsConfig(t)
	if err != nil {
		return nil, err
	}
	o := &redis.Options{
		Network: "tcp", DB: t.database, TLSConfig: config,
		MaxRetries: t.tuning.retries(), PoolSize: t.tuning.poolSize, PoolTimeout: t.tuning.poolTimeout,
		ConnMaxIdleTime: t.tuning.maxIdle, ConnMaxLifetime: t.tuning.maxLifetime,
		DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout, ContextTimeoutEnabled: true,
		Protocol: 2, DisableIdentity: true, DialerRetries: dialTries,
		MaintNotificationsConfig:   noMaintNotifications(),
		CredentialsProviderContext: c.dataLogin(t).credentials,
		Dialer:                     c.dialer(config),
		OnConnect:                  new(noTouch).onConnect,
	}
	if t.socket != "" {
		o.Network, o.Addr = "unix", t.socket
	} else {
		o.Addr = t.addrs[0]
	}
	return o, nil
}

// clusterClient makes a client of the cluster that the URL's servers belong to.
func (c Connection) clusterClient(hooks []redis.Hook) (*redis.ClusterClient, error) {
	t, err := c.target()
	if err != nil {
		return nil, fmt.Errorf("reading the Redis URL: %w", err)
	}
	switch {
	case t.socket != "":
		return nil, errors.New("a Redis Cluster cannot be reached through a unix socket: its nodes name each other by host and port")
	case t.database != 0:
		return nil, fmt.Errorf("a Redis Cluster has database 0 only, and the URL asks for %d", t.database)
	}
	one, err := c.options(t)
	if err != nil {
		return nil, err
	}
	nodes := newTopology(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: t.addrs, TLSConfig: one.TLSConfig,
		MaxRetries: one.MaxRetries, PoolSize: one.PoolSize, PoolTimeout: one.PoolTimeout,
		ConnMaxIdleTime: one.ConnMaxIdleTime, ConnMaxLifetime: one.ConnMaxLifetime,
		DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout, ContextTimeoutEnabled: true,
		Protocol: 2, DisableIdentity: true, DialerRetries: dialTries,
		MaintNotificationsConfig:   noMaintNotifications(),
		CredentialsProviderContext: one.CredentialsProviderContext,
		Dialer:                     nodes.dialer(one.Dialer),
		OnConnect:                  one.OnConnect,
		// Commands go where their key is; asking COMMAND for more takes a right.
		// A replica is never read: its answer is of the past, and what is removed
		// depends on it.
		DisableRoutingPolicies: true,
		NewClient: func(node *redis.Options) *redis.Client {
			return newClient(node, append(slices.Clip(hooks), nodes.hook(node.Addr)))
		},
	})
	// Each node bounds its own tries, and this one the way from node to node.
	client.AddHook(bound{c.Timeout})
	client.AddHook(answered{})
	return client, nil
}

// noMaintNotifications keeps go-redis from sending CLIENT MAINT_NOTIFICATIONS,
// which a narrow ACL user may not.
func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// user is the name that the connection signs in with, empty for none.
func (c Connection) user() string {
	t, _ := c.target()
	return cmp.Or(c.Username, t.user)
}
