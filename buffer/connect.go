package buffer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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
}

// Validate reports what is wrong with the URL without connecting. The error
// never holds the URL's text, which may hold a password.
func (c Connection) Validate() error {
	u, err := c.parse()
	if err != nil {
		return err
	}
	switch {
	case u.Query().Get("master_name") != "":
		_, err = redis.ParseFailoverURL(c.URL)
	case len(u.Query()["addr"]) > 0:
		_, err = redis.ParseClusterURL(c.URL)
	default:
		_, err = redis.ParseURL(c.URL)
	}
	return hideURL(err)
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
	return nil, errors.New("want redis://, rediss:// or unix://")
}

// hideURL keeps of an error only what cannot hold a part of a password.
func hideURL(err error) error {
	if err == nil {
		return nil
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

// client opens what the URL asks for; no connection is made yet.
func (c Connection) client() (redis.UniversalClient, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("reading the Redis URL: %w", err)
	}
	u, err := c.parse()
	if err != nil {
		return nil, err
	}
	switch {
	case u.Query().Get("master_name") != "":
		return c.failoverClient()
	case len(u.Query()["addr"]) > 0:
		return c.clusterClient()
	default:
		return c.singleClient()
	}
}

func (c Connection) singleClient() (redis.UniversalClient, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil {
		return nil, hideURL(err)
	}
	if o.TLSConfig, err = c.tlsConfig(o.TLSConfig); err != nil {
		return nil, err
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.DisableIdentity = true
	o.DialerRetries = dialTries
	o.MaintNotificationsConfig = noMaintNotifications()
	o.CredentialsProviderContext = c.credentials(o.Username, o.Password)
	return redis.NewClient(o), nil
}

func (c Connection) clusterClient() (redis.UniversalClient, error) {
	u, err := c.parse()
	if err != nil {
		return nil, err
	}
	if db := strings.Trim(u.Path, "/"); db != "" && db != "0" {
		return nil, fmt.Errorf("a Redis Cluster has database 0 only, and the URL asks for %s", db)
	}
	o, err := redis.ParseClusterURL(c.URL)
	if err != nil {
		return nil, hideURL(err)
	}
	if o.TLSConfig, err = c.tlsConfig(o.TLSConfig); err != nil {
		return nil, err
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.DisableIdentity = true
	o.DialerRetries = dialTries
	o.MaintNotificationsConfig = noMaintNotifications()
	o.CredentialsProviderContext = c.credentials(o.Username, o.Password)
	return redis.NewClusterClient(o), nil
}

func (c Connection) failoverClient() (redis.UniversalClient, error) {
	o, err := redis.ParseFailoverURL(c.URL)
	if err != nil {
		return nil, hideURL(err)
	}
	if o.TLSConfig, err = c.tlsConfig(o.TLSConfig); err != nil {
		return nil, err
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.DisableIdentity = true
	o.DialerRetries = dialTries
	// go-redis reads the URL's user and password as the Sentinels'.
	o.CredentialsProviderContext = c.credentials(o.SentinelUsername, o.SentinelPassword)
	o.SentinelUsername = c.SentinelUsername
	if o.SentinelPassword, err = secret(c.SentinelPassword, c.SentinelPasswordFile); err != nil {
		return nil, err
	}
	return redis.NewFailoverClient(o), nil
}

// noMaintNotifications keeps go-redis from sending CLIENT MAINT_NOTIFICATIONS,
// which a narrow ACL user may not.
func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// credentials are looked up for each new connection.
func (c Connection) credentials(urlUser, urlPassword string) func(context.Context) (string, string, error) {
	user := orDefault(c.Username, urlUser)
	return func(context.Context) (string, string, error) {
		password, err := secret(c.Password, c.PasswordFile)
		return user, orDefault(password, urlPassword), err
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

// tlsConfig adds the files to what the URL says.
func (c Connection) tlsConfig(config *tls.Config) (*tls.Config, error) {
	if c.CAFile == "" && c.CertFile == "" && c.KeyFile == "" && c.ServerName == "" {
		return config, nil
	}
	if config == nil {
		u, err := c.parse()
		if err != nil {
			return nil, err
		}
		config = &tls.Config{ServerName: u.Hostname()}
	}
	config.MinVersion = tls.VersionTLS12
	if c.ServerName != "" {
		config.ServerName = c.ServerName
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the CA certificates: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", c.CAFile)
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		// Read again at each handshake, as certificates are renewed in place.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &pair, err
		}
	}
	return config, nil
}
