package buffer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/internal/redisconn"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func openAs(t *testing.T, c redisconn.Connection, change ...func(*Options)) *Buffer {
	t.Helper()
	o := Options{Connection: c}
	for _, f := range change {
		f(&o)
	}
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func streamNames(t *testing.T, b *Buffer) []string {
	t.Helper()
	var all []string
	if err := b.WalkStreams(t.Context(), func(names []string) error {
		all = append(all, slices.Clone(names)...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func sessionNames(t *testing.T, b *Buffer) []string {
	t.Helper()
	var all []string
	if err := b.WalkSessions(t.Context(), func(page []registry.Session) error {
		for _, s := range page {
			all = append(all, strings.Clone(s.Identity))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func TestAUnixSocketAndAnotherDatabaseAreReached(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	s := redistest.Start(t, "--unixsocket", socket)
	s.Client.Do(t.Context(), "SELECT", 0)
	other := redis.NewClient(&redis.Options{Addr: s.Addr, DB: 3, Protocol: 2})
	defer func() { _ = other.Close() }()
	other.SAdd(t.Context(), "streams", "in three")
	for _, url := range []string{"unix://" + socket + "?db=3", "redis://" + s.Addr + "/3"} {
		if got := streamNames(t, openAs(t, redisconn.Connection{URL: url})); !slices.Equal(got, []string{"in three"}) {
			t.Errorf("%s: the names are %q", url, got)
		}
	}
}

func TestTLSWantsTheRightCertificates(t *testing.T) {
	t.Parallel()
	certs := redistest.MakeCertificates(t, "redis.example")
	s := redistest.StartTLS(t, certs)
	s.Client.SAdd(t.Context(), "streams", "a")
	foreign := redistest.MakeCertificates(t, "redis.example")
	good := redisconn.Connection{URL: "rediss://" + s.Addr, CAFile: certs.CA, CertFile: certs.ClientCert, KeyFile: certs.ClientKey}
	for _, c := range []struct {
		name   string
		change func(*redisconn.Connection)
		fails  string
		class  redisconn.Class
	}{
		{"own CA and client certificate", func(*redisconn.Connection) {}, "", ""},
		{"TLS by the files alone", func(c *redisconn.Connection) { c.URL = "redis://" + s.Addr }, "", ""},
		{"a name of the certificate", func(c *redisconn.Connection) { c.ServerName = "redis.example" }, "", ""},
		{"a name that is not in the certificate", func(c *redisconn.Connection) { c.ServerName = "other.example" }, "other.example", redisconn.ClassConnection},
		{"another CA", func(c *redisconn.Connection) { c.CAFile = foreign.CA }, "certificate", redisconn.ClassConnection},
		{"no CA", func(c *redisconn.Connection) { c.CAFile = "" }, "certificate", redisconn.ClassConnection},
		{"no client certificate", func(c *redisconn.Connection) { c.CertFile, c.KeyFile = "", "" }, "connecting to Redis", redisconn.ClassConnection},
		{"a CA file that is none", func(c *redisconn.Connection) { c.CAFile = certs.ServerKey }, "no PEM certificate", ""},
		{"a client certificate that is missing", func(c *redisconn.Connection) { c.CertFile += "x" }, "REDIS_TLS_CERT_FILE", ""},
		{"no TLS at all", func(c *redisconn.Connection) { *c = redisconn.Connection{URL: "redis://" + s.Addr} }, "connecting to Redis", redisconn.ClassConnection},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection := good
			connection.Timeout = 2 * time.Second
			c.change(&connection)
			b, err := Open(t.Context(), Options{Connection: connection})
			if c.fails == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = b.Close() }()
				if got := streamNames(t, b); !slices.Equal(got, []string{"a"}) {
					t.Errorf("the names are %q", got)
				}
				return
			}
			if err == nil {
				_ = b.Close()
				t.Fatal("it connects")
			}
			if !strings.Contains(err.Error(), c.fails) {
				t.Errorf("it fails with %v", err)
			}
			if class := redisconn.ClassOf(err); c.class != "" && class != c.class {
				t.Errorf("the class is %s", class)
			}
		})
	}
}

func TestAPasswordFileIsReadAgainAtEachNewConnection(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	ctx := t.Context()
	file := filepath.Join(t.TempDir(), "password")
	rotate := func(password string) {
		if err := s.Client.Do(ctx, "ACL", "SETUSER", "keeper", "reset", "on", ">"+password, "~*", "+@all").Err(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rotate("first")
	b := openAs(t, redisconn.Connection{URL: "redis://keeper@" + s.Addr, PasswordFile: file})
	rotate("second")
	if err := s.Client.ClientKillByFilter(ctx, "USER", "keeper").Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Ping(ctx); err != nil {
		t.Errorf("with the new password: %v", err)
	}
	if who, err := b.rdb.Do(ctx, "ACL", "WHOAMI").Text(); err != nil || who != "keeper" {
		t.Errorf("it is %q, %v", who, err)
	}
}

func TestAWrongPasswordIsAnAuthError(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--requirepass", "right")
	for _, c := range []redisconn.Connection{
		{URL: "redis://" + s.Addr},
		{URL: "redis://:wrong-secret@" + s.Addr},
		{URL: "redis://" + s.Addr, Username: "nobody", Password: "wrong-secret"},
	} {
		var seen []redisconn.Class
		_, err := Open(t.Context(), Options{Connection: c, OnError: func(class redisconn.Class) { seen = append(seen, class) }})
		if redisconn.ClassOf(err) != redisconn.ClassAuth || !slices.Contains(seen, redisconn.ClassAuth) {
			t.Errorf("the class is %q, seen %q: %v", redisconn.ClassOf(err), seen, err)
		}
		if strings.Contains(fmt.Sprint(err), "wrong-secret") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
}

func TestSentinelsLeadToTheMasterBeforeAndAfterAFailover(t *testing.T) {
	t.Parallel()
	const password = "sentinel-secret"
	s := redistest.StartSentinels(t, password)
	ctx := t.Context()
	for _, data := range s.Data {
		// The data servers know another user, whom the URL names.
		if err := data.Client.Do(ctx, "ACL", "SETUSER", "keeper", "on", ">data-secret", "~*", "+@all").Err(); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "sentinel-password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Data[0].Client.SAdd(ctx, "streams", "a")
	url := strings.Replace(s.URL(), "redis://", "redis://keeper:data-secret@", 1)
	b := openAs(t, redisconn.Connection{URL: url, SentinelPasswordFile: file})
	if got := streamNames(t, b); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("the names are %q", got)
	}
	if ok, err := b.Lease().Acquire(ctx, "us", time.Minute); err != nil || !ok {
		t.Fatalf("the lease: %v, %v", ok, err)
	}

	s.Failover(t, password)
	redistest.Await(t, "the new master's answer", func() bool {
		return b.Restore(ctx, "b") == nil
	})
	if got, _ := s.Data[1].Client.SMembers(ctx, "streams").Result(); !slices.Contains(got, "b") {
		t.Errorf("the new master has the names %q", got)
	}

	// The Sentinels' password changes; only a new connection needs it.
	for _, sentinel := range s.Servers {
		client := redis.NewSentinelClient(&redis.Options{Addr: sentinel.Addr, Password: password, Protocol: 2})
		if err := client.Process(ctx, redis.NewCmd(ctx, "ACL", "SETUSER", "default", "resetpass", ">rotated")); err != nil {
			t.Fatal(err)
		}
		_ = client.Close()
	}
	if err := os.WriteFile(file, []byte("rotated"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Data[1].Client.ClientKillByFilter(ctx, "USER", "keeper")
	if err := b.Ping(ctx); err != nil {
		t.Errorf("with the Sentinels' new password: %v", err)
	}
}

func TestOneSentinelIsEnoughToFindTheOthers(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinels(t, "")
	ctx := t.Context()
	b := openAs(t, redisconn.Connection{URL: "redis://" + s.Servers[0].Addr + "?master_name=" + redistest.MasterName, Timeout: 2 * time.Second})
	s.Servers[0].Kill()
	if err := s.Data[0].Client.Do(ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Ping(ctx); err != nil {
		t.Errorf("with the first Sentinel gone: %v", err)
	}
	_, err := Open(ctx, Options{Connection: redisconn.Connection{URL: "redis://" + s.Servers[1].Addr + "?master_name=unknown", Timeout: 2 * time.Second}})
	if err == nil || !strings.Contains(err.Error(), "knows no such master") {
		t.Errorf("an unknown master: %v", err)
	}
}

func TestAClusterIsFoundByAskingOrByItsNames(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, true)
	ctx := t.Context()
	var want []string
	for i := range 50 {
		name := fmt.Sprintf("stream %02d", i)
		want = append(want, name)
		c.Client.SAdd(ctx, "streams", name)
		c.Client.XAdd(ctx, &redis.XAddArgs{Stream: "stream:" + name, Values: []any{"id", i}})
		c.Client.HSet(ctx, "sessions:"+name, "streamName", name, "lastUpdated", time.Now().UnixMilli())
	}
	for name, url := range map[string]string{
		"asking a master": c.URL(), "asking a replica": "redis://" + c.Replicas[1].Addr,
		"several names": c.NamedURL(), "several names, the first one dead": "redis://127.0.0.1:1?addr=" + c.Masters[2].Addr,
	} {
		t.Run(name, func(t *testing.T) {
			b := openAs(t, redisconn.Connection{URL: url})
			if b.Server().Mode != "cluster" {
				t.Errorf("the mode is %s", b.Server().Mode)
			}
			if got := streamNames(t, b); !slices.Equal(got, want) {
				t.Errorf("the names are %q", got)
			}
			if got := sessionNames(t, b); !slices.Equal(got, want) {
				t.Errorf("the sessions are %q", got)
			}
			lengths, err := b.Lengths(ctx, want)
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range lengths {
				if l.Entries != 1 || l.Err != nil {
					t.Errorf("%s: %+v", want[i], l)
				}
			}
			if _, err := b.Now(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("in another database", func(t *testing.T) {
		_, err := Open(ctx, Options{Connection: redisconn.Connection{URL: c.URL() + "/2"}})
		if err == nil || !strings.Contains(err.Error(), "database 0 only") {
			t.Errorf("it says %v", err)
		}
	})
	t.Run("several names of a server that is no cluster", func(t *testing.T) {
		s := redistest.Start(t)
		_, err := Open(ctx, Options{Connection: redisconn.Connection{URL: s.URL() + "?addr=" + s.Addr}})
		if err == nil || !strings.Contains(err.Error(), "cluster") {
			t.Errorf("it says %v", err)
		}
	})
}

func TestAReadOnlyBufferOfAClusterSendsNoWrite(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	b := openAs(t, redisconn.Connection{URL: c.URL()}, func(o *Options) { o.ReadOnly = true })
	ctx := t.Context()
	for name, err := range map[string]error{
		"a command":  b.Restore(ctx, "x"),
		"a pipeline": func() error { _, err := b.Trims(ctx, []TrimRequest{{Stream: "x", MaxLen: 1}}); return err }(),
		"a node": b.conn.Masters(ctx, func(ctx context.Context, node *redis.Client) error {
			return node.Set(ctx, "x", 1, 0).Err()
		}),
	} {
		if err != nil && !strings.Contains(err.Error(), redisconn.ErrReadOnly.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range c.Masters {
		calls, err := s.CommandCalls(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, write := range []string{"sadd", "xtrim", "set"} {
			if calls[write] > 0 {
				t.Errorf("%s was sent to %s", write, s.Addr)
			}
		}
	}
}

func TestNoSessionIsMissedWhileItsSlotMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	ctx := t.Context()
	// Many keys in one slot, and a page more elsewhere.
	const tagged = 400
	var want []string
	pipe := c.Client.Pipeline()
	for i := range tagged {
		identity := fmt.Sprintf("{moving}%d", i)
		want = append(want, identity)
		pipe.HSet(ctx, "sessions:"+identity, "streamName", "s", "lastUpdated", 1)
	}
	for i := range 1000 {
		identity := fmt.Sprintf("still %d", i)
		want = append(want, identity)
		pipe.HSet(ctx, "sessions:"+identity, "streamName", "s", "lastUpdated", 1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	b := openAs(t, redisconn.Connection{URL: c.URL()}, func(o *Options) { o.Layouts = []registry.Layout{registry.Keys} })
	slot := int(c.Client.ClusterKeySlot(ctx, "{moving}").Val())
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for to := 0; ; to = (to + 1) % 3 {
			if err := c.Migrate(ctx, slot, to, 3*time.Millisecond); err != nil {
				done <- err
				return
			}
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
		}
	}()
	for range 4 {
		got := slices.Compact(sessionNames(t, b))
		if !slices.Equal(got, want) {
			t.Errorf("%d sessions were found, of %d", len(got), len(want))
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOnAClusterTheRuleSufficesAndAMissingRightIsNamed(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false)
	ctx := t.Context()
	c.Client.SAdd(ctx, "streams", "a")
	words, _ := Uses{Job: true, Trim: true, Cleanup: true, Inspect: true, Names: DefaultNames, Cluster: true}.Rule()
	under := func(words []string) {
		for _, s := range c.Masters {
			args := []any{"ACL", "SETUSER", "keeper", "reset", "on", ">secret"}
			for _, word := range words {
				args = append(args, word)
			}
			if err := s.Client.Do(ctx, args...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, url := range map[string]string{"asking": c.URL(), "several names": c.NamedURL()} {
		t.Run(name, func(t *testing.T) {
			connection := redisconn.Connection{URL: url, Username: "keeper", Password: "secret"}
			under(words)
			if got := streamNames(t, openAs(t, connection)); !slices.Equal(got, []string{"a"}) {
				t.Errorf("the names are %q", got)
			}
			under(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "+cluster|slots" }))
			_, err := Open(ctx, Options{Connection: connection})
			if redisconn.ClassOf(err) != redisconn.ClassAuth || !strings.Contains(fmt.Sprint(err), "lacks the right +cluster|slots") {
				t.Errorf("without the right: %v", err)
			}
		})
	}
}

// A node that answers nothing is met by chance, here once in some twenty times.
func TestADeadMasterKeepsNobodyFromOpeningACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, false, "--cluster-require-full-coverage", "no")
	c.Masters[2].Kill()
	for n := range 40 {
		b, err := Open(t.Context(), Options{Connection: redisconn.Connection{URL: c.URL(), Timeout: 2 * time.Second}})
		if err != nil {
			t.Fatalf("the %d. time: %v", n+1, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
