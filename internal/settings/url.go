package settings

import (
	"errors"
	"net/url"
	"slices"
	"strings"

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

func (redisURLSyntax) format(value string) string { return maskURL(value) }
func (redisURLSyntax) mask(text string) string    { return maskURL(text) }

// WebURL is the URL of a service that speaks HTTP; its user part may hold a
// password.
type WebURL = Setting[string, webURLSyntax]

type webURLSyntax struct{ plain[string] }

func (webURLSyntax) parse(text string) (string, error) {
	u, ok := readURL(text)
	if !ok || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" {
		return "", errors.New("not a URL; allowed: http://host:port or https://host:port, with a path; " +
			"characters such as / ? # @ , in a user or password must be percent-encoded")
	}
	return text, nil
}

func (webURLSyntax) format(value string) string { return maskURL(value) }
func (webURLSyntax) mask(text string) string    { return maskURL(text) }

func checkRedisURL(text string) error {
	const allowed = "; allowed: redis://host:6379/0, rediss://host:6379/0, unix:///path/redis.sock, " +
		"with ?master_name=name&addr=host:port for Sentinel or ?addr=host:port for a cluster"
	if !strings.Contains(text, "://") {
		return errors.New("not a URL" + allowed)
	}
	u, ok := readURL(text)
	if !ok {
		return errors.New("not a URL; characters such as / ? # @ , in a user or password must be percent-encoded")
	}
	if !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
		return errors.New("unknown scheme" + allowed)
	}
	return redisconn.Connection{URL: text}.Validate()
}

// readURL parses a URL and reports whether it is beyond doubt where the password
// stands. A password with unencoded delimiters can look like a host, a path or a
// query, and so can a connection string of another kind.
func readURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, false
	}
	_, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if strings.Contains(rest[end:], "@") || strings.ContainsAny(u.Host+u.EscapedPath(), ",=") {
		return nil, false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, false
	}
	for _, values := range query {
		if strings.ContainsAny(strings.Join(values, ""), ",=") {
			return nil, false
		}
	}
	return u, true
}

// maskURL hides what is, or could be, a password.
func maskURL(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		if strings.ContainsAny(text, "@,=? ") {
			return masked
		}
		return text
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
		rest = before + "?" + maskQuery(query)
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

// maskQuery hides the values of parameters that are not ours: they may be tokens,
// or passwords under any name.
func maskQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, _, hasValue := strings.Cut(pair, "=")
		switch {
		case slices.Contains(redisconn.ParameterNames(), key):
		case hasValue:
			pairs[i] = key + "=" + masked
		default:
			pairs[i] = masked
		}
	}
	return strings.Join(pairs, "&")
}
