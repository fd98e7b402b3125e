package redisconn

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Ports where a URL names none.
const (
	defaultPort  = "6379"
	sentinelPort = "26379"
)

// target is what a URL says.
type target struct {
	shape  shape
	scheme string
	// socket is the path of a unix socket; addrs are host:port, the URL's own
	// host first.
	socket     string
	addrs      []string
	master     string
	user       string
	password   string
	database   int
	skipVerify bool
	tuning     tuning
}

// shape is what a URL leads to, as far as it says so itself.
type shape int

const (
	ofServer shape = iota
	ofSentinels
	ofCluster
)

// tuning is what parameters say beside where Redis is; zero means go-redis's
// own value.
type tuning struct {
	maxRetries                        *int
	poolSize                          int
	poolTimeout, maxIdle, maxLifetime time.Duration
}

// retries are go-redis's: it takes 0 for three, and -1 for none.
func (t tuning) retries() int {
	if t.maxRetries == nil {
		return 0
	}
	return cmp.Or(*t.maxRetries, -1)
}

// parameter reads one parameter of a URL into a target. Its error is about the
// value, and does not repeat it.
type parameter struct {
	// allowed says what the value may be.
	allowed string
	read    func(t *target, value string) error
}

// Limits of parameters.
const (
	maxDatabase = 1<<31 - 1
	mostRetries = 10
	mostConns   = 1000
	leastWait   = 10 * time.Millisecond
	longestWait = time.Minute
	leastLife   = time.Second
	longestLife = 24 * time.Hour
)

// parameters are all that a URL may have. What go-redis takes beyond them is
// either set by settings of ours or breaks what we rely on.
func parameters() map[string]parameter {
	return map[string]parameter{
		"addr":        {"host:port, repeated for more", func(t *target, v string) error { return t.addAddr(v) }},
		"master_name": {"the name that the Sentinels know the master by", func(t *target, v string) error { return notEmpty(&t.master, v) }},
		"db":          number(func(t *target) *int { return &t.database }, 0, maxDatabase),
		"max_retries": number(func(t *target) *int { t.tuning.maxRetries = new(int); return t.tuning.maxRetries }, -1, mostRetries),
		"pool_size":   number(func(t *target) *int { return &t.tuning.poolSize }, 1, mostConns),
		"pool_timeout": span(func(t *target) *time.Duration { return &t.tuning.poolTimeout },
			leastWait, longestWait),
		"conn_max_idle_time": span(func(t *target) *time.Duration { return &t.tuning.maxIdle },
			leastLife, longestLife),
		"conn_max_lifetime": span(func(t *target) *time.Duration { return &t.tuning.maxLifetime },
			leastLife, longestLife),
		"skip_verify": {"true or false, with rediss://", func(t *target, v string) (err error) {
			t.skipVerify, err = strconv.ParseBool(v)
			return err
		}},
	}
}

func number(of func(*target) *int, least, most int) parameter {
	return parameter{fmt.Sprintf("%d to %d", least, most), func(t *target, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return errors.New("out of range")
		}
		*of(t) = n
		return nil
	}}
}

func span(of func(*target) *time.Duration, least, most time.Duration) parameter {
	return parameter{fmt.Sprintf("%s to %s", short(least), short(most)), func(t *target, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil || d < least || d > most {
			return errors.New("out of range")
		}
		*of(t) = d
		return nil
	}}
}

// short leaves "0m0s" out.
func short(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

func notEmpty(into *string, value string) error {
	if *into = value; value == "" {
		return errors.New("empty")
	}
	return nil
}

// LooksLikeParameter reports whether text may be the name of a parameter, right or
// wrong, rather than a secret.
func LooksLikeParameter(text string) bool {
	return text != "" && len(text) <= 32 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// ParameterNames lists the parameters that a URL may have.
func ParameterNames() []string { return slices.Sorted(maps.Keys(parameters())) }

var (
	errScheme = errors.New("want redis://, rediss:// or unix://")
	errURL    = errors.New("not a Redis URL such as redis://host:6379/0 (characters like / @ : in a password must be percent-encoded, or put it into REDIS_PASSWORD)")
)

// target reads the URL. The error never holds the URL's text, which may hold a
// password, but for names of parameters.
func (c Connection) target() (target, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Opaque != "" || u.Fragment != "" {
		return target{}, errURL
	}
	t := target{scheme: u.Scheme, user: u.User.Username()}
	t.password, _ = u.User.Password()
	switch u.Scheme {
	case "redis", "rediss":
		err = t.readPath(u)
	case "unix":
		t.socket = u.Path
		if strings.TrimSpace(u.Path) == "" || u.Host != "" {
			err = errors.New("a unix URL is unix:///path/redis.sock, with ?db= for a database")
		}
	default:
		err = errScheme
	}
	if err != nil {
		return target{}, err
	}
	fromPath := t.database
	if err := t.readParameters(u); err != nil {
		return target{}, err
	}
	if path := strings.Trim(u.Path, "/"); u.Scheme != "unix" && path != "" && fromPath != t.database {
		return target{}, errors.New("the path and db name different databases")
	}
	return t, t.settle(u)
}

// settle finds out what the URL leads to.
func (t *target) settle(u *url.URL) error {
	further := t.addrs
	port := defaultPort
	switch {
	case t.master != "":
		t.shape, port = ofSentinels, sentinelPort
	case len(further) > 0:
		t.shape = ofCluster
	}
	switch {
	case t.scheme == "unix" && t.shape != ofServer:
		return errors.New("a unix socket leads to one server: master_name and addr are not for it")
	case t.scheme != "rediss" && t.skipVerify:
		return errors.New("skip_verify is for rediss:// alone")
	case t.shape == ofCluster && t.database != 0:
		return errors.New("several addresses are a cluster, which has database 0 only")
	case t.scheme == "unix":
		return nil
	}
	t.addrs = []string{net.JoinHostPort(cmp.Or(u.Hostname(), "localhost"), cmp.Or(u.Port(), port))}
	for _, addr := range further {
		host, p, _ := splitAddr(addr)
		t.addrs = append(t.addrs, net.JoinHostPort(host, cmp.Or(p, port)))
	}
	return nil
}

// readPath reads the database from the path of a URL, and checks the port.
func (t *target) readPath(u *url.URL) error {
	if _, _, ok := splitAddr(u.Host); u.Host != "" && !ok {
		return errURL
	}
	path := strings.Trim(u.Path, "/")
	if path == "" {
		return nil
	}
	n, err := strconv.ParseUint(path, 10, 31)
	if err != nil {
		return fmt.Errorf("the path is not a database; allowed: 0 to %d", maxDatabase)
	}
	t.database = int(n)
	return nil
}

func (t *target) readParameters(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errURL
	}
	known := parameters()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		p, ok := known[name]
		switch {
		case !ok && (!LooksLikeParameter(name) || !strings.Contains(u.RawQuery, name+"=")):
			// It may be a secret that stands in the wrong place.
			return fmt.Errorf("a parameter that is unknown; allowed: %s", strings.Join(ParameterNames(), ", "))
		case !ok:
			return fmt.Errorf("unknown parameter %q; allowed: %s", name, strings.Join(ParameterNames(), ", "))
		}
		if len(query[name]) > 1 && name != "addr" {
			return fmt.Errorf("parameter %s stands there more than once", name)
		}
		for _, value := range query[name] {
			if p.read(t, value) != nil {
				return fmt.Errorf("parameter %s: allowed: %s", name, p.allowed)
			}
		}
	}
	return nil
}

func (t *target) addAddr(text string) error {
	if _, _, ok := splitAddr(text); !ok {
		return errors.New("not an address")
	}
	t.addrs = append(t.addrs, text)
	return nil
}

// splitAddr reads host:port, [address]:port, or either without a port.
func splitAddr(text string) (host, port string, ok bool) {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return addr.String(), "", true
	}
	host, port = text, ""
	if strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", "", false
		}
		if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
			return "", "", false
		}
	}
	return host, port, host != "" || text != "" && port != ""
}

// tlsConfig is what the scheme asks for; nil for none.
func (t target) tlsConfig() *tls.Config {
	if t.scheme != "rediss" {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.skipVerify} //nolint:gosec // the URL asks for it
	return config
}

// String is where the target is, without any secret.
func (t target) String() string {
	where := t.scheme + "://" + strings.Join(t.addrs, ",") + t.socket
	if t.socket == "" {
		where += "/" + strconv.Itoa(t.database)
	} else if t.database != 0 {
		where += "?db=" + strconv.Itoa(t.database)
	}
	if t.master != "" {
		where += "?master_name=" + t.master
	}
	return where
}
