package redisconn

import (
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

// keysOfEachMaster are keys, one for each third of the slots.
func keysOfEachMaster() (keys []string) {
	found := make(map[int]bool)
	for i := 0; len(found) < 3; i++ {
		key := "key" + strconv.Itoa(i)
		if third := slotOf(key) * 3 / slotCount; !found[third] {
			found[third] = true
			keys = append(keys, key)
		}
	}
	return keys
}

func readEach(t *testing.T, conn *Conn, keys []string) {
	t.Helper()
	for _, key := range keys {
		if n, err := conn.Client().Exists(t.Context(), key).Result(); err != nil || n != 0 {
			t.Errorf("%s: %d, %v", key, n, err)
		}
	}
	pipe := conn.Client().Pipeline()
	for _, key := range keys {
		pipe.Exists(t.Context(), key)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Errorf("in a pipeline: %v", err)
	}
}

func TestNodesOfAClusterThatTellNoHostAreFound(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	for _, kind := range []string{"ip", "unknown-endpoint", "hostname"} {
		for _, s := range c.Masters {
			if err := s.Client.ConfigSet(t.Context(), "cluster-preferred-endpoint-type", kind).Err(); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(kind, func(t *testing.T) {
			conn := open(t, Connection{URL: c.URL()})
			if conn.Server().Mode != "cluster" || conn.Width(t.Context()) != 3 {
				t.Errorf("%+v, %d masters", conn.Server(), conn.Width(t.Context()))
			}
			readEach(t, conn, keysOfEachMaster())
			_, port, _ := net.SplitHostPort(c.Masters[0].Addr)
			readEach(t, open(t, Connection{URL: "redis://localhost:" + port}), keysOfEachMaster())
		})
	}
}

func TestARedirectionWithoutAHostLeadsToTheOneThatWasAsked(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	conn := open(t, Connection{URL: c.URL()})
	keys := keysOfEachMaster()
	readEach(t, conn, keys)
	for i, key := range keys {
		if err := c.Migrate(t.Context(), slotOf(key), (slotOf(key)*3/slotCount+1)%3, 0); err != nil {
			t.Fatal(i, err)
		}
	}
	for _, s := range c.Masters {
		if err := s.Client.ConfigSet(t.Context(), "cluster-preferred-endpoint-type", "unknown-endpoint").Err(); err != nil {
			t.Fatal(err)
		}
	}
	err := c.Masters[slotOf(keys[0])*3/slotCount].Client.Exists(t.Context(), keys[0]).Err()
	if err == nil || !strings.Contains(err.Error(), " :") {
		t.Fatalf("the redirection is %v", err)
	}
	readEach(t, conn, keys)
}

func TestEachNodeOfAClusterIsCheckedAgainstItsOwnAddress(t *testing.T) {
	t.Parallel()
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	authority := redistest.NewAuthority(t)
	start := func(t *testing.T, names func(i int) []string) Connection {
		t.Helper()
		var port string
		redistest.StartClusterOf(t, len(hosts), func(i int) []string {
			cert, key := authority.Issue(t, names(i)...)
			_, tlsPort, _ := net.SplitHostPort(redistest.FreeAddress(t))
			if i == 0 {
				port = tlsPort
			}
			bind := []string{"--bind", hosts[0]}
			if i > 0 {
				bind = append(bind, hosts[i])
			}
			return append(bind, "--cluster-announce-ip", hosts[i],
				"--tls-port", tlsPort, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", authority.File, "--tls-auth-clients", "no", "--tls-cluster", "yes")
		})
		return Connection{URL: "rediss://" + net.JoinHostPort(hosts[0], port), CAFile: authority.File}
	}
	t.Run("a certificate for each address", func(t *testing.T) {
		own := start(t, func(i int) []string { return []string{hosts[i]} })
		readEach(t, open(t, own), keysOfEachMaster())
	})
	t.Run("one name for all", func(t *testing.T) {
		shared := start(t, func(int) []string { return []string{"redis.test"} })
		shared.ServerName = "redis.test"
		readEach(t, open(t, shared), keysOfEachMaster())
		shared.ServerName = ""
		if _, err := Open(t.Context(), Options{Connection: shared}); err == nil || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("without SERVER_NAME: %v", err)
		}
	})
	t.Run("another's certificate", func(t *testing.T) {
		conn := open(t, start(t, func(int) []string { return []string{hosts[0]} }))
		var refused int
		for _, key := range keysOfEachMaster() {
			if err := conn.Client().Exists(t.Context(), key).Err(); err != nil && strings.Contains(err.Error(), "certificate") {
				refused++
			}
		}
		if refused != 2 {
			t.Errorf("%d of two nodes are refused", refused)
		}
	})
}

func TestANodeWithoutAnAddressIsNamed(t *testing.T) {
	nodes := newTopology(target{addrs: []string{"host:1"}})
	slots, err := nodes.read([]any{[]any{int64(0), int64(16383), []any{"?", int64(6379), "id", []any{}}}}, "host:1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = nodes.dialer((&net.Dialer{}).DialContext)(t.Context(), "tcp", slots[0].Nodes[0].Addr)
	if !errors.Is(err, errNamelessNode) {
		t.Errorf("%v", err)
	}
}

func FuzzClusterSlots(f *testing.F) {
	for _, seed := range []string{
		`[[0,16383,["127.0.0.1",6379,"id",["hostname","h"]]]]`, `[[0,5,[null,6379]],[6,9,["?",1,"id",["ip","127.0.0.1"]]]]`,
		`[]`, `{}`, `[[1]]`, `[[5,1,["",1]]]`, `[[0,1,["h",70000]]]`, `[[0,1,[1,2,3,4]]]`, `null`,
		`[[0,0,["?",0,"",["ip","["]]]]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var answer any
		if json.Unmarshal([]byte(text), &answer) != nil {
			return
		}
		slots, err := newTopology(target{addrs: []string{"asked:1"}}).read(whole(answer), "asked:1")
		if err != nil {
			return
		}
		for _, slot := range slots {
			if slot.Start < 0 || slot.End < slot.Start || slot.End >= slotCount || len(slot.Nodes) == 0 {
				t.Errorf("%+v", slot)
			}
			for _, n := range slot.Nodes {
				if host, _, err := net.SplitHostPort(n.Addr); err != nil || host == "" {
					t.Errorf("the address %q: %v", n.Addr, err)
				}
			}
		}
	})
}

// whole makes of JSON's numbers those of RESP.
func whole(value any) any {
	switch value := value.(type) {
	case float64:
		return int64(value)
	case []any:
		for i := range value {
			value[i] = whole(value[i])
		}
	}
	return value
}
