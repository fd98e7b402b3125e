package settings

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/streamkeeper/streamkeeper/internal/redisconn"
)

// masked stands where a secret was.
const masked = "***"

// RedisURL says where Redis is; its user part may hold a password.
type RedisURL = Setting[string, redisURLSyntax]

type redisURLSyntax struct{ plain[string] }

func (redisURLSyntax) parse(text string) (string, error) {
	if err := checkRedisURL(text); err != nil {
		return "", err
	}
	return text, nil
}

func (redisURLSyntax) format(value string) string { return maskURL(value, redisconn.ParameterNames()) }
func (redisURLSyntax) mask(text string) string    { return maskURL(text, redisconn.ParameterNames()) }

// WebURL is the URL of a service that speaks HTTP; its user part may hold a
// password.
type WebURL = Setting[string, webURLSyntax]

type webURLSyntax struct{ plain[string] }

func (webURLSyntax) parse(text string) (string, error) {
	const allowed = "; allowed: http://host:port or https://host:port, with a path"
	u, err := checkURL(text, allowed)
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("not a URL of HTTP" + allowed)
	case u.Host == "":
		return "", errors.New("there is no host in it" + allowed)
	case u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("a query (from ? on) is not allowed" + allowed)
	}
	return text, nil
}

func (webURLSyntax) format(value string) string { return maskURL(value, nil) }
func (webURLSyntax) mask(text string) string    { return maskURL(text, nil) }

func checkRedisURL(text string) error {
	const allowed = "; allowed: redis://host:6379/0, rediss://host:6379/0, unix:///path/redis.sock, " +
		"with ?master_name=name&addr=host:port for Sentinel or ?addr=host:port for a cluster"
	u, err := checkURL(text, allowed)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
		return errors.New("unknown scheme" + allowed)
	}
	return redisconn.Connection{URL: text}.Validate()
}

// errNotEncoded is a URL of which nobody can say where the password ends.
var errNotEncoded = errors.New("not a URL; characters such as / ? # @ , in a user or password must be percent-encoded")

// checkURL parses a URL, and says what is wrong with it without repeating any of it.
func checkURL(text, allowed string) (*url.URL, error) {
	scheme, rest, found := strings.Cut(text, "://")
	_, notScheme := strings.CutPrefix(schemeOrMask(scheme), masked)
	switch {
	case strings.ContainsFunc(text, unicode.IsControl):
		return nil, errors.New("it contains a line end or another control character" + allowed)
	case !found || notScheme:
		return nil, errors.New("not a URL" + allowed)
	}
	u, ok := readURL(text)
	if ok {
		return u, nil
	}
	authority, after := cutAuthority(rest)
	host := authority[strings.LastIndex(authority, "@")+1:]
	switch {
	case strings.Contains(after, "@"):
		return nil, errNotEncoded
	case strings.Contains(host, ",") && !strings.Contains(host, "="):
		return nil, errors.New("several hosts joined by commas" + allowed)
	case strings.Contains(rest, ",") && strings.Contains(rest, "=") && !strings.HasPrefix(scheme, "http"):
		return nil, errors.New("options after a comma belong to a StackExchange.Redis connection string: set RTA_RedisConnectionString to it" + allowed)
	case strings.Contains(after, "#"):
		return nil, errors.New("a # begins a fragment, which is not allowed; in a user or password write it as %23" + allowed)
	case strings.Contains(after, ";"):
		return nil, errors.New("parameters are separated by & only" + allowed)
	case strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "["):
		return nil, errors.New("an IPv6 address must stand in brackets, as in [::1]:6379" + allowed)
	case strings.ContainsAny(text, " <>\"{}|\\^`"):
		return nil, errors.New("it contains a space or another character that a URL cannot have; in a user or password it must be percent-encoded" + allowed)
	case !validPort(host):
		return nil, errors.New("the port is not a number from 1 to 65535" + allowed)
	case u == nil && strings.Contains(text, "%"):
		return nil, errors.New("a % is not followed by two hexadecimal digits; write a % itself as %25" + allowed)
	}
	return nil, errNotEncoded
}

// cutAuthority splits what follows the scheme of a URL where the host ends.
func cutAuthority(rest string) (authority, after string) {
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], rest[end:]
}

// validPort reports whether host:port has no port or one that there is.
func validPort(host string) bool {
	if strings.HasPrefix(host, "[") {
		_, host, _ = strings.Cut(host, "]")
	}
	_, port, _ := strings.Cut(host, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

// readURL parses a URL and reports whether it is beyond doubt where the password
// stands; the URL is nil where it cannot be parsed. A password with unencoded
// delimiters can look like a host, a path or a query, and so can a connection string
// of another kind.
func readURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, false
	}
	if strings.Contains(text, "#") || u.Opaque != "" || !validPort(u.Host) || strings.Count(u.Hostname(), ":") > 0 && !strings.HasPrefix(u.Host, "[") {
		return u, false
	}
	_, rest, _ := strings.Cut(text, "://")
	if _, after := cutAuthority(rest); strings.Contains(after, "@") || strings.ContainsAny(u.Host+u.EscapedPath(), ",=") {
		return u, false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return u, false
	}
	for _, values := range query {
		if strings.ContainsAny(strings.Join(values, ""), ",=") {
			return u, false
		}
	}
	return u, true
}

// maskURL hides what is, or could be, a password. Of the query it shows the values
// of the parameters known.
func maskURL(text string, known []string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		if host, port, err := net.SplitHostPort(text); text == "" || err == nil && port != "" && validPort(":"+port) && !strings.ContainsAny(host, "@,=? ") {
			return text
		}
		return masked
	}
	u, ok := readURL(text)
	if !ok {
		return schemeOrMask(scheme) + "://" + masked
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, _, hasPassword := strings.Cut(rest[:at], ":")
		if hasPassword {
			rest = user + ":" + masked + rest[at:]
		} else { // a password may stand in the user's place by mistake
			rest = masked + rest[at:]
		}
	}
	if before, query, found := strings.Cut(rest, "?"); found {
		rest = before + "?" + maskQuery(query, known)
	}
	return u.Scheme + "://" + rest
}

// schemeOrMask shows a scheme only if it is one.
func schemeOrMask(scheme string) string {
	for _, r := range scheme {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return masked
		}
	}
	return scheme
}

// maskQuery hides the values of parameters that are not known: they may be tokens, or
// passwords under any name. So may what only stands where a name is expected.
func maskQuery(query string, known []string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, hasValue := strings.Cut(pair, "=")
		switch {
		case slices.Contains(known, name) && hasValue:
		case hasValue && redisconn.LooksLikeParameter(name):
			pairs[i] = name + "=" + masked
		default:
			pairs[i] = masked
		}
	}
	return strings.Join(pairs, "&")
}
