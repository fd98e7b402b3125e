package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Ports that StackExchange.Redis assumes where a host has none.
const (
	portPlain    = "6379"
	portTLS      = "6380"
	portSentinel = "26379"
)

// connectionString is what concerns us in a connection string of
// StackExchange.Redis: "host[:port][,host…][,option=value…]". The source of the
// format is that library's ConfigurationOptions.
type connectionString struct {
	hosts       []endpoint
	user        string
	password    string
	tls         bool
	tlsHost     string
	database    int
	serviceName string
}

// endpoint is a host, and a port unless it is left to the default.
type endpoint struct{ host, port string }

// harmlessOptions steer the .NET client alone.
func harmlessOptions() []string {
	return []string{
		"abortConnect", "allowAdmin", "asyncTimeout", "channelPrefix", "checkCertificateRevocation", "configChannel",
		"configCheckSeconds", "connectRetry", "connectTimeout", "highIntegrity", "highPriorityThreads", "keepAlive", "name",
		"preserveAsyncOrder", "protocol", "resolveDns", "responseTimeout", "setlib", "sslProtocols", "syncTimeout",
		"tiebreaker", "version", "writeBuffer",
	}
}

// parseConnectionString reads a connection string. Names of options may be in
// any letter case, and of an option given twice the later counts. Errors tell
// items by their number and quote nothing but names of options, because any
// other text may be a part of a password.
func parseConnectionString(text string) (connectionString, error) {
	var c connectionString
	var errs []error
	sawPassword := false
	for i, item := range strings.Split(text, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		name, value, isOption := strings.Cut(item, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		var err error
		switch {
		case !isOption && sawPassword:
			err = errors.New("a host after the password, or a password with a comma, which belongs into STREAMKEEPER_REDIS_URL or a password file")
		case !isOption:
			err = c.addHost(item)
		default:
			err = c.setOption(name, value, sawPassword)
			sawPassword = sawPassword || strings.EqualFold(name, "password")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("item %d: %w", i+1, err))
		}
	}
	if len(c.hosts) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("no host"))
	}
	return c, errors.Join(errs...)
}

func (c *connectionString) addHost(text string) error {
	e := endpoint{host: text}
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && addr.Zone() == "" {
		e.host = addr.String()
	} else if strings.Contains(text, ":") {
		if e.host, e.port, err = net.SplitHostPort(text); err != nil {
			return errors.New("not a host or host:port")
		}
		if port, err := strconv.ParseUint(e.port, 10, 16); err != nil || port == 0 {
			return errors.New("not a port from 1 to 65535")
		}
	}
	if !isHost(e.host) {
		return errors.New("not a host or host:port")
	}
	if !slices.Contains(c.hosts, e) {
		c.hosts = append(c.hosts, e)
	}
	return nil
}

// isHost tells a name or an address from text of another kind.
func isHost(text string) bool {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Zone() == ""
	}
	for _, r := range text {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r) {
			return false
		}
	}
	return text != ""
}

// setOption takes one option over. What follows a password may be its rest, and
// is then not named.
func (c *connectionString) setOption(name, value string, afterPassword bool) (err error) {
	switch strings.ToLower(name) {
	case "user":
		c.user = value
	case "password":
		c.password = value
	case "ssl":
		c.tls, err = parseDotnetBool(value)
	case "sslhost":
		c.tlsHost = value
	case "servicename":
		c.serviceName = value
	case "defaultdatabase":
		c.database, err = parseDatabase(value)
	case "proxy", "tunnel":
		if value != "" && !strings.EqualFold(value, "none") {
			err = errors.New("not supported")
		}
	default:
		return checkIgnored(name, afterPassword)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.ToLower(name), err)
	}
	return nil
}

// checkIgnored refuses an option that the .NET client would not know either.
// "$COMMAND=name" is its map of renamed commands.
func checkIgnored(name string, afterPassword bool) error {
	known := slices.Concat(harmlessOptions(), []string{
		"user", "password", "ssl", "sslHost", "serviceName", "defaultDatabase", "proxy", "tunnel",
	})
	switch {
	case strings.HasPrefix(name, "$"), slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }):
		return nil
	case afterPassword || !isLetters(name):
		return errors.New("unknown option")
	}
	if near := human.Nearest(name, known); near != "" {
		return fmt.Errorf("unknown option %s; did you mean %s?", name, near)
	}
	return fmt.Errorf("unknown option %s", name)
}

func isLetters(text string) bool {
	return text != "" && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz") == ""
}

// parseDotnetBool reads what the .NET client takes for a switch.
func parseDotnetBool(text string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes":
		return true, nil
	case "false", "no":
		return false, nil
	}
	return false, errors.New("not a switch; allowed: true or false")
}

func parseDatabase(text string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	if err != nil {
		return 0, errors.New("not a database; allowed: a whole number from 0")
	}
	return int(n), nil
}

// url is the Redis URL that means the same. Several hosts are a cluster, or the
// Sentinels of a service.
func (c connectionString) url() string {
	u := url.URL{Scheme: "redis", Path: "/" + strconv.Itoa(c.database)}
	port := portPlain
	if c.tls {
		u.Scheme, port = "rediss", portTLS
	}
	query := url.Values{}
	if c.serviceName != "" {
		query.Set("master_name", c.serviceName)
		port = portSentinel
	}
	for i, e := range c.hosts {
		address := net.JoinHostPort(e.host, cmp.Or(e.port, port))
		if i == 0 {
			u.Host = address
		} else {
			query.Add("addr", address)
		}
	}
	if c.user != "" || c.password != "" {
		u.User = url.UserPassword(c.user, c.password)
	}
	// A colon needs no escape in a query, and people will read this.
	u.RawQuery = strings.ReplaceAll(query.Encode(), "%3A", ":")
	return u.String()
}
