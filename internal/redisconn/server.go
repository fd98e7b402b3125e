package redisconn

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Server is what Redis says of itself in HELLO.
type Server struct {
	// Name is "redis", "valkey", …
	Name string
	// Version is the server's version, as "7.0.15".
	Version string
	// Mode is "standalone", "sentinel" or "cluster".
	Mode string
	// Role is "master" or "replica".
	Role string
}

// MinVersion is the oldest Redis that has what streamkeeper needs: XTRIM with
// MINID and LIMIT.
const MinVersion = "6.2"

// AtLeast reports whether the server's version is the one given, as 7, 0 or as
// 6, 2, 7, or later.
func (s Server) AtLeast(wanted ...int) bool {
	parts := strings.Split(s.Version, ".")
	for i, want := range wanted {
		have := 0
		if i < len(parts) {
			have, _ = strconv.Atoi(parts[i])
		}
		if have != want {
			return have > want
		}
	}
	return true
}

// helloTries is how many nodes of a cluster are asked, each chosen at random,
// before the dead ones among them keep us from starting.
const helloTries = 8

func hello(ctx context.Context, rdb redis.UniversalClient) (Server, error) {
	reply, err := rdb.Do(ctx, "HELLO", "2").Result()
	if _, ok := rdb.(*redis.ClusterClient); ok {
		for try := 1; try < helloTries && ClassOf(err) == ClassConnection; try++ {
			reply, err = rdb.Do(ctx, "HELLO", "2").Result()
		}
	}
	if err != nil {
		return Server{}, err
	}
	var s Server
	fields := map[string]*string{"server": &s.Name, "version": &s.Version, "mode": &s.Mode, "role": &s.Role}
	set := func(key, value any) {
		if k, ok := key.(string); ok {
			if into := fields[k]; into != nil {
				*into = fmt.Sprint(value)
			}
		}
	}
	switch reply := reply.(type) {
	case []any:
		for i := 0; i+1 < len(reply); i += 2 {
			set(reply[i], reply[i+1])
		}
	case map[any]any:
		for k, v := range reply {
			set(k, v)
		}
	}
	return s, nil
}
