package redisconn

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/internal/secret"
)

// login is how servers of one kind are signed in to, and which settings say so.
type login struct {
	// prefix begins the names of the settings.
	prefix               string
	user, password, file string
	// urlUser and urlPassword are the URL's, which the settings override.
	urlUser, urlPassword string
}

func (c Connection) dataLogin(t target) login {
	return login{"REDIS_", c.Username, c.Password, c.PasswordFile, t.user, t.password}
}

func (c Connection) sentinelLogin() login {
	return login{"REDIS_SENTINEL_", c.SentinelUsername, c.SentinelPassword, c.SentinelPasswordFile, "", ""}
}

// credentials are looked up for each new connection.
func (l login) credentials(context.Context) (user, password string, err error) {
	password, err = textOrFile(l.password, l.file)
	return cmp.Or(l.user, l.urlUser), cmp.Or(password, l.urlPassword), err
}

// textOrFile is a secret as it is given, or as a file holds it now.
func textOrFile(text, file string) (string, error) {
	if file == "" {
		return text, nil
	}
	content, err := secret.Read(file)
	if err != nil {
		return "", fmt.Errorf("reading a password file: %w", err)
	}
	return content, nil
}

// explain adds to an answer about user or password what to set; it is nil for any
// other error.
func (l login) explain(err error) error {
	var what string
	switch {
	case redis.HasErrorPrefix(err, "NOAUTH"):
		what = "it wants a password"
	case redis.HasErrorPrefix(err, "WRONGPASS"), strings.Contains(err.Error(), "ERR invalid password"):
		what = "wrong user or password"
	default:
		return nil
	}
	return fmt.Errorf("%s: %s: %w", what, l.remedy(), err)
}

// remedy says what is odd about user and password as they are given, or else where
// they are set.
func (l login) remedy() string {
	var odd []string
	add := func(name, fault string) {
		if fault != "" {
			odd = append(odd, name+" "+fault)
		}
	}
	user, password := l.prefix+"USERNAME", l.prefix+"PASSWORD"
	if l.user != "" {
		add(user, oddity(l.user))
	} else {
		add("the URL's user", oddity(l.urlUser))
	}
	content, err := textOrFile(l.password, l.file)
	switch {
	case l.file != "" && err == nil && content == "":
		add("the file of "+password+"_FILE", "is empty")
	case l.file != "":
		add("the file of "+password+"_FILE", oddity(content))
	case l.password != "":
		add(password, oddity(l.password))
	default:
		add("the URL's password", oddity(l.urlPassword))
	}
	switch {
	case len(odd) > 0:
		return strings.Join(odd, "; ")
	case l.urlUser != "" && l.urlPassword == "" && l.password == "" && l.file == "":
		return "the URL has a user and no password; a password alone is written redis://:password@host"
	}
	return fmt.Sprintf("set %s or %s_FILE, and %s unless the user is default", password, password, user)
}

// byteOrderMark is what some editors begin a file with.
const byteOrderMark = "\ufeff"

// oddity says what of a user or a password is hardly meant to be part of it; "" for
// nothing.
func oddity(text string) string {
	bare := strings.TrimSpace(strings.TrimPrefix(text, byteOrderMark))
	switch {
	case strings.HasPrefix(text, byteOrderMark):
		return "begins with a byte order mark, which is taken for a part of it: save it without"
	case strings.ContainsAny(bare, "\r\n"):
		return "has several lines, which are all taken for a part of it"
	case len(bare) > 1 && bare[0] == bare[len(bare)-1] && (bare[0] == '"' || bare[0] == '\''):
		return "stands in quotes, which are taken for a part of it: take them off"
	case bare != text:
		return "has white space around it, which is taken for a part of it: take it off"
	}
	return ""
}
