package redisconn

import (
	"context"
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

// The words for what a server is that matter here.
const (
	modeCluster  = "cluster"
	modeSentinel = "sentinel"
)

// IsReplica reports whether the server follows a master; old ones said "slave".
func (s Server) IsReplica() bool { return s.Role == "replica" || s.Role == "slave" }

func helloCmd(ctx context.Context) *redis.Cmd { return redis.NewCmd(ctx, "HELLO", "2") }

func hello(ctx context.Context, rdb redis.UniversalClient) (Server, error) {
	cmd := helloCmd(ctx)
	err := rdb.Process(ctx, cmd)
	if _, ok := rdb.(*redis.ClusterClient); ok {
		for try := 1; try < helloTries && ClassOf(err) == ClassConnection; try++ {
			cmd = helloCmd(ctx)
			err = rdb.Process(ctx, cmd)
		}
	}
	if err != nil {
		return Server{}, err
	}
	return serverOf(cmd.Val()), nil
}

// serverOf reads the answer to HELLO.
func serverOf(reply any) Server {
	var s Server
	said := pairs(reply)
	s.Name, s.Version, s.Mode, s.Role = said["server"], said["version"], said["mode"], said["role"]
	return s
}
