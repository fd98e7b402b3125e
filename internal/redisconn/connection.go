package redisconn

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
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
}

// Validate reports what is wrong with the URL without connecting. The error
// never holds the URL's text, which may hold a password.
func (c Connection) Validate() error {
	shape, u, err := c.shape()
	switch {
	case err != nil:
	case shape == ofCluster:
		_, err = redis.ParseClusterURL(c.URL)
	default:
		_, err = redis.ParseURL(withoutAddresses(u))
	}
	if err != nil || shape == ofServer {
		return hideURL(err)
	}
	for _, addr := range u.Query()["addr"] {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return errors.New("each addr must be host:port")
		}
	}
	return nil
}

// shape is what a URL leads to, as far as it says so itself.
type shape int

const (
	ofServer shape = iota
	ofSentinels
	ofCluster
)

func (c Connection) shape() (shape, *url.URL, error) {
	u, err := c.parse()
	switch {
	case err != nil:
		return ofServer, nil, err
	case u.Query().Get("master_name") != "":
		return ofSentinels, u, nil
	case len(u.Query()["addr"]) > 0:
		return ofCluster, u, nil
	}
	return ofServer, u, nil
}

// withoutAddresses is the URL of one server with the parameters of this one.
func withoutAddresses(u *url.URL) string {
	one, query := *u, u.Query()
	query.Del("master_name")
	query.Del("addr")
	one.RawQuery = query.Encode()
	return one.String()
}

func (c Connection) parse() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, hideURL(err)
	}
	switch u.Scheme {
	case "redis", "rediss", "unix":
		return u, nil
	}
	return nil, errScheme
}

var errScheme = errors.New("want redis://, rediss:// or unix://")

// hideURL keeps of an error only what cannot hold a part of a password.
func hideURL(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, errScheme) {
		return err
	}
	if text := strings.TrimPrefix(err.Error(), "redis: "); strings.HasPrefix(text, "unexpected option: ") {
		return errors.New(text)
	}
	return errors.New("not a Redis URL such as redis://host:6379/0 (characters like / @ : in a password must be percent-encoded, or put it into REDIS_PASSWORD)")
}

// Redacted is where the connection leads, without any secret.
func (c Connection) Redacted() string {
	u, err := c.parse()
	if err != nil {
		return "(unreadable URL)"
	}
	hosts := append([]string{u.Host}, u.Query()["addr"]...)
	where := u.Scheme + "://" + strings.Join(hosts, ",") + u.Path
	if master := u.Query().Get("master_name"); master != "" {
		where += "?master_name=" + master
	}
	return where
}

// client opens what the URL asks for; no connection is made yet. Each client
// that speaks to one server gets the hooks.
func (c Connection) client(hooks []redis.Hook) (redis.UniversalClient, error) {
	shape, u, err := c.shape()
	if err != nil {
		return nil, fmt.Errorf("reading the Redis URL: %w", err)
	}
	if shape == ofCluster {
		return c.clusterClient(hooks)
	}
	o, err := c.options(u)
	if err != nil {
		return nil, err
	}
	if shape == ofSentinels {
		o.Dialer = newSentinels(c, u, o).dial
	}
	return newClient(o, hooks), nil
}

// dialer opens connections, with TLS unless config is nil.
func (c Connection) dialer(config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: c.Timeout, Resolver: c.Resolver}
	if config == nil {
		return plain.DialContext
	}
	return (&tls.Dialer{NetDialer: plain, Config: config}).DialContext
}

func newClient(o *redis.Options, hooks []redis.Hook) *redis.Client {
	client := redis.NewClient(o)
	for _, hook := range hooks {
		client.AddHook(hook)
	}
	return client
}

// options are those of one server, or of the one that Sentinels name.
func (c Connection) options(u *url.URL) (*redis.Options, error) {
	o, err := redis.ParseURL(withoutAddresses(u))
	if err != nil {
		return nil, fmt.Errorf("reading the Redis URL: %w", hideURL(err))
	}
	if o.TLSConfig, err = c.tlsConfig(o.TLSConfig, u.Hostname()); err != nil {
		return nil, err
	}
	o.Dialer = c.dialer(o.TLSConfig)
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.DisableIdentity = true
	o.DialerRetries = dialTries
	o.MaintNotificationsConfig = noMaintNotifications()
	o.CredentialsProviderContext = c.credentials(o.Username, o.Password)
	return o, nil
}

// clusterClient makes a client of the cluster that the URL's servers belong to.
func (c Connection) clusterClient(hooks []redis.Hook) (*redis.ClusterClient, error) {
	u, err := c.parse()
	if err != nil {
		return nil, err
	}
	if u.Scheme == "unix" {
		return nil, errors.New("a Redis Cluster cannot be reached through a unix socket: its nodes name each other by host and port")
	}
	if db := strings.Trim(u.Path, "/") + u.Query().Get("db"); db != "" && db != "0" {
		return nil, fmt.Errorf("a Redis Cluster has database 0 only, and the URL asks for %s", db)
	}
	o, err := redis.ParseClusterURL(c.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the Redis URL: %w", hideURL(err))
	}
	if o.TLSConfig, err = c.tlsConfig(o.TLSConfig, u.Hostname()); err != nil {
		return nil, err
	}
	o.Dialer = c.dialer(o.TLSConfig)
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.DisableIdentity = true
	o.DialerRetries = dialTries
	o.MaintNotificationsConfig = noMaintNotifications()
	o.CredentialsProviderContext = c.credentials(o.Username, o.Password)
	// A replica's answer is of the past, and what is removed depends on it.
	o.ReadOnly, o.RouteByLatency, o.RouteRandomly = false, false, false
	// Commands go where their key is; asking COMMAND for more takes a right.
	o.DisableRoutingPolicies = true
	o.NewClient = func(node *redis.Options) *redis.Client { return newClient(node, hooks) }
	client := redis.NewClusterClient(o)
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
	u, err := c.parse()
	if err != nil {
		return c.Username
	}
	return cmp.Or(c.Username, u.User.Username())
}

// credentials are looked up for each new connection.
func (c Connection) credentials(urlUser, urlPassword string) func(context.Context) (string, string, error) {
	user := cmp.Or(c.Username, urlUser)
	return func(context.Context) (string, string, error) {
		password, err := secret(c.Password, c.PasswordFile)
		return user, cmp.Or(password, urlPassword), err
	}
}

// secret reads a mounted secret; the newline that editors add is not part of it.
func secret(text, file string) (string, error) {
	if file == "" {
		return text, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading a password file: %w", err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}
