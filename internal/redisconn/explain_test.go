package redisconn

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestEachWrongServerIsExplained(t *testing.T) {
	t.Parallel()
	plain := redistest.Start(t)
	guarded := redistest.Start(t, "--requirepass", "right")
	old := redistest.Start(t, "--rename-command", "HELLO", "")
	secure := redistest.StartTLS(t, redistest.MakeCertificates(t, "redis.example"))
	sentinel := redistest.StartSentinels(t, "").Servers[0]
	full := redistest.Start(t)
	if err := full.Client.ConfigSet(t.Context(), "maxclients", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		connection Connection
		wants      string
		class      Class
	}{
		{"no password", Connection{URL: guarded.URL()}, "it wants a password: set REDIS_PASSWORD or REDIS_PASSWORD_FILE", ClassAuth},
		{"a wrong password", Connection{URL: "redis://:wrong@" + guarded.Addr}, "wrong user or password: set REDIS_PASSWORD", ClassAuth},
		{"a password in the user's place", Connection{URL: "redis://right@" + guarded.Addr}, "a password alone is written redis://:password@host", ClassAuth},
		{"no HELLO", Connection{URL: "redis://" + old.Addr}, "a Redis before 6.2 or a proxy", ClassOther},
		{"a Sentinel", Connection{URL: "redis://" + sentinel.Addr}, "it is a Sentinel and holds no data: add ?master_name=", ClassOther},
		{"no such database", Connection{URL: "redis://" + plain.Addr + "/99"}, "it has no database 99", ClassOther},
		{"no room", Connection{URL: full.URL()}, "raise its maxclients", ClassConnection},
		{"TLS to a plain port", Connection{URL: "rediss://" + plain.Addr, Timeout: 10 * time.Second}, "the port does not speak TLS: use redis://", ClassConnection},
		{"TLS to a plain port with a password", Connection{URL: "rediss://" + guarded.Addr, Timeout: 10 * time.Second}, "the port does not speak TLS", ClassConnection},
		{"plain to a TLS port", Connection{URL: "redis://" + secure.Addr, Timeout: 10 * time.Second}, "the port speaks TLS: use rediss://", ClassConnection},
	} {
		t.Run(c.name, func(t *testing.T) {
			started := time.Now()
			conn, err := Open(t.Context(), Options{Connection: c.connection})
			if err == nil {
				_ = conn.Close()
				t.Fatal("it opens")
			}
			if !strings.Contains(err.Error(), c.wants) || !strings.Contains(err.Error(), c.connection.Redacted()) || strings.Contains(err.Error(), "right") {
				t.Errorf("it says %v", err)
			}
			if got := ClassOf(err); got != c.class {
				t.Errorf("the class is %s, want %s", got, c.class)
			}
			if took := time.Since(started); took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	if _, err := Open(t.Context(), Options{Connection: Connection{URL: "redis://" + old.Addr}}); !errors.Is(err, ErrNoHello) {
		t.Errorf("without HELLO: %v", err)
	}
}

// says opens a connection that fails, and checks what the error says on its one
// line.
func says(t *testing.T, c Connection, class Class, wants ...string) {
	t.Helper()
	conn, err := Open(t.Context(), Options{Connection: c})
	if err == nil {
		_ = conn.Close()
		t.Errorf("%s opens", c.URL)
		return
	}
	for _, want := range wants {
		if text, absent := strings.CutPrefix(want, "!"); strings.Contains(err.Error(), text) == absent {
			t.Errorf("%s: want %q in\n%v", c.URL, want, err)
		}
	}
	if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hush") {
		t.Errorf("several lines, or a secret: %v", err)
	}
	if got := ClassOf(err); got != class {
		t.Errorf("%s: the class is %s, want %s", c.URL, got, class)
	}
}

func TestASentinelsPasswordIsNotTheDataServers(t *testing.T) {
	t.Parallel()
	guarded := redistest.StartSentinels(t, "hush")
	plain := redistest.Start(t)
	for _, password := range []string{"", "wrong-hush"} {
		what := "it wants a password"
		if password != "" {
			what = "wrong user or password"
		}
		says(t, Connection{URL: guarded.URL(), SentinelPassword: password, Password: "data-hush"}, ClassAuth,
			what+": set REDIS_SENTINEL_PASSWORD or REDIS_SENTINEL_PASSWORD_FILE, and REDIS_SENTINEL_USERNAME unless", "!REDIS_PASSWORD", "!REDIS_USERNAME")
	}
	says(t, Connection{URL: guarded.URL(), SentinelPassword: `"hush"`}, ClassAuth, "REDIS_SENTINEL_PASSWORD stands in quotes")
	says(t, Connection{URL: guarded.URL(), SentinelPassword: "hush", Password: "data-hush", Username: "nobody"}, ClassAuth, "set REDIS_PASSWORD or", "!SENTINEL")
	says(t, Connection{URL: plain.URL() + "?master_name=m"}, ClassOther, "it is no Sentinel: name one", "!it does not know HELLO")
	unknown, _, _ := strings.Cut(guarded.URL(), "?")
	says(t, Connection{URL: unknown + "?master_name=nobody", SentinelPassword: "hush"}, ClassOther, "knows no such master: check master_name in REDIS_URL")
	free, other := redistest.FreeAddress(t), redistest.FreeAddress(t)
	says(t, Connection{URL: "redis://" + free + "/0?master_name=m&addr=" + other}, ClassConnection, "nothing listens there: check host and port in REDIS_URL", free+": ", other+": ")
}

func TestWhatIsOddAboutAPasswordIsNamed(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "hush")
	file := filepath.Join(t.TempDir(), "password")
	for content, want := range map[string]string{
		"": "the file of REDIS_PASSWORD_FILE is empty", "\n": "the file of REDIS_PASSWORD_FILE is empty",
		"\ufeffhush\r\n": "the file of REDIS_PASSWORD_FILE begins with a byte order mark", "hush\nhush": "REDIS_PASSWORD_FILE has several lines",
		"'hush'\n": "REDIS_PASSWORD_FILE stands in quotes", "hush \n": "REDIS_PASSWORD_FILE has white space around it",
		"wrong-hush": "set REDIS_PASSWORD or REDIS_PASSWORD_FILE",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		says(t, Connection{URL: s.URL(), PasswordFile: file}, ClassAuth, want)
	}
	says(t, Connection{URL: s.URL(), Password: `"hush"`}, ClassAuth, "wrong user or password: REDIS_PASSWORD stands in quotes")
	says(t, Connection{URL: s.URL(), Username: "'default'", Password: "hush"}, ClassAuth, "wrong user or password: REDIS_USERNAME stands in quotes")
	says(t, Connection{URL: "redis://:%22hush%22@" + s.Addr}, ClassAuth, "the URL's password stands in quotes")
	says(t, Connection{URL: "redis://%22default%22:hush@" + s.Addr}, ClassAuth, "the URL's user stands in quotes")
	quoted := redistest.Start(t, "--requirepass", "'hush'")
	conn, err := Open(t.Context(), Options{Connection: Connection{URL: quoted.URL(), Password: "'hush'"}})
	if err != nil {
		t.Fatalf("a password that has quotes: %v", err)
	}
	_ = conn.Close()
}

func TestEachBrokenWayHasARemedy(t *testing.T) {
	free := redistest.FreeAddress(t)
	says(t, Connection{URL: "redis://" + free}, ClassConnection, "nothing listens there: check host and port in REDIS_URL, and that Redis runs")
	says(t, Connection{URL: "redis://" + free + "?addr=" + free}, ClassConnection, "nothing listens there")
	says(t, Connection{URL: "redis://no-such-host.invalid:6379"}, ClassConnection, "check the host's name in REDIS_URL")
	says(t, Connection{URL: "unix:///no/such/redis.sock"}, ClassConnection, "there is no such socket: check the path")
	answering := func(answer string) string { return "redis://" + answersWith(t, answer) }
	says(t, Connection{URL: answering("HTTP/1.1 400 Bad Request\r\n\r\n")}, ClassOther, "an HTTP server answers there and no Redis: check the port")
	says(t, Connection{URL: answering("SSH-2.0-OpenSSH_9.6\r\n")}, ClassOther, "what answers there is no Redis: check host and port")
	says(t, Connection{URL: answering("")}, ClassConnection, "the connection was closed without an answer: a proxy without a Redis behind it")
}

// answersWith is the address of a port that gives one answer to whatever is asked,
// and closes the connection.
func answersWith(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = conn.SetReadDeadline(time.Now().Add(time.Second))
				_, _ = conn.Read(make([]byte, 1024))
				_, _ = io.WriteString(conn, answer)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func TestEachFaultOfCertificatesHasARemedy(t *testing.T) {
	files := redistest.MakeCertificates(t, "redis.example")
	s := redistest.StartTLS(t, files)
	own := Connection{URL: "rediss://" + s.Addr, CertFile: files.ClientCert, KeyFile: files.ClientKey}
	says(t, own, ClassConnection, "of an authority that this machine does not know: set REDIS_TLS_CA_FILE")
	other := own
	other.CAFile = redistest.NewAuthority(t).File
	says(t, other, ClassConnection, "of none of the authorities in REDIS_TLS_CA_FILE")
	named := own
	named.CAFile, named.ServerName = files.CA, "other.example"
	says(t, named, ClassConnection, "is not for the name in REDIS_TLS_SERVER_NAME")
	_, port, _ := net.SplitHostPort(s.Addr)
	says(t, Connection{URL: "rediss://localhost:" + port, CAFile: files.CA}, ClassConnection, "set REDIS_TLS_SERVER_NAME to one of the certificate's names")
	says(t, Connection{URL: own.URL, CAFile: files.CA}, ClassConnection, "REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE")
	stranger := redistest.NewAuthority(t)
	refused := Connection{URL: own.URL, CAFile: files.CA}
	refused.CertFile, refused.KeyFile = stranger.Issue(t, "stranger")
	says(t, refused, ClassConnection, "the server refuses our certificate", "REDIS_TLS_CERT_FILE")
}
