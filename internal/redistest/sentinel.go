package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MasterName is how a [Sentinels]' master is called.
const MasterName = "buffer"

// Sentinels are three Sentinels that watch a master and its replica.
type Sentinels struct {
	// Data are the two data servers; the first one is the master at first.
	Data []*Server
	// Servers are the Sentinels.
	Servers []*Server
}

// StartSentinels starts the five servers, which end with the test. The
// Sentinels ask for a password if one is given.
func StartSentinels(t testing.TB, password string) *Sentinels {
	t.Helper()
	master := Start(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	s := &Sentinels{Data: []*Server{master, Start(t, "--replicaof", host+" "+port)}}
	Await(t, "the replica", func() bool {
		return strings.Contains(s.Data[1].Client.Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	for range 3 {
		s.Servers = append(s.Servers, startSentinel(t, host, port, password))
	}
	for _, sentinel := range s.Servers {
		client := sentinelClient(t, sentinel.Addr, password)
		Await(t, "the Sentinels to find each other", func() bool {
			m := client.Master(t.Context(), MasterName).Val()
			return m["num-other-sentinels"] == "2" && m["num-slaves"] == "1"
		})
	}
	return s
}

func startSentinel(t testing.TB, host, port, password string) *Server {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("sentinel monitor %s %s %s 2\nsentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 5000\n",
		MasterName, host, port, MasterName, MasterName)
	if password != "" {
		config += "requirepass " + password + "\nsentinel sentinel-pass " + password + "\n"
	}
	file := filepath.Join(dir, "sentinel.conf")
	must(t, os.WriteFile(file, []byte(config), 0o600))
	s, err := newServer(dir, nil)
	must(t, err)
	_, own, _ := net.SplitHostPort(s.Addr)
	s.line = []string{file, "--sentinel", "--port", own, "--bind", "127.0.0.1", "--dir", dir}
	must(t, s.Run())
	t.Cleanup(s.Stop)
	return s
}

func sentinelClient(t testing.TB, addr, password string) *redis.SentinelClient {
	t.Helper()
	client := redis.NewSentinelClient(&redis.Options{Addr: addr, Password: password, Protocol: 2})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Failover has the Sentinels make the replica the master, and waits for it.
func (s *Sentinels) Failover(t testing.TB, password string) {
	t.Helper()
	client := sentinelClient(t, s.Servers[0].Addr, password)
	must(t, client.Failover(t.Context(), MasterName).Err())
	Await(t, "the failover", func() bool { return s.isMaster(t, 1) && !s.isMaster(t, 0) })
}

func (s *Sentinels) isMaster(t testing.TB, i int) bool {
	return strings.Contains(s.Data[i].Client.Info(t.Context(), "replication").Val(), "role:master")
}

// URL names the Sentinels, for streamkeeper.
func (s *Sentinels) URL() string {
	query := []string{"master_name=" + MasterName}
	for _, other := range s.Servers[1:] {
		query = append(query, "addr="+other.Addr)
	}
	return "redis://" + s.Servers[0].Addr + "/0?" + strings.Join(query, "&")
}
