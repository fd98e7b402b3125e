package redisconn

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAURLSaysWhereRedisIs(t *testing.T) {
	for url, want := range map[string]string{
		"redis://h":                   "redis://h:6379/0",
		"redis://":                    "redis://localhost:6379/0",
		"redis://:7000/3":             "redis://localhost:7000/3",
		"redis://[::1]":               "redis://[::1]:6379/0",
		"redis://[::1]:7/2/":          "redis://[::1]:7/2",
		"rediss://u:p@h:1/1":          "rediss://h:1/1",
		"redis://h/?db=4":             "redis://h:6379/4",
		"redis://h/4?db=4":            "redis://h:6379/4",
		"unix:///run/r.sock?db=2":     "unix:///run/r.sock?db=2",
		"redis://[::1]?master_name=m": "redis://[::1]:26379/0?master_name=m",
		"redis://s?master_name=m&addr=[fd00::2]&addr=t:9": "redis://s:26379,[fd00::2]:26379,t:9/0?master_name=m",
		"redis://a:1?addr=b:2&addr=fd00::3":               "redis://a:1,b:2,[fd00::3]:6379/0",
	} {
		c := Connection{URL: url}
		if err := c.Validate(); err != nil || c.Redacted() != want {
			t.Errorf("%s is %s, want %s (%v)", url, c.Redacted(), want, err)
		}
	}
}

// go-redis takes all of these, and works otherwise than they read or not at all.
func TestParametersAreAListOfOurOwnWithLimits(t *testing.T) {
	for query, fault := range map[string]string{
		"max_retries=-2":           "parameter max_retries: allowed: -1 to 10",
		"max_retries=11":           "parameter max_retries: allowed: -1 to 10",
		"pool_size=-5":             "parameter pool_size: allowed: 1 to 1000",
		"pool_size=0":              "parameter pool_size: allowed: 1 to 1000",
		"pool_size=1&pool_size=2":  "parameter pool_size stands there more than once",
		"pool_timeout=1ns":         "parameter pool_timeout: allowed: 10ms to 1m",
		"pool_timeout=5":           "parameter pool_timeout: allowed: 10ms to 1m",
		"conn_max_idle_time=25h":   "parameter conn_max_idle_time: allowed: 1s to 24h",
		"conn_max_lifetime=0":      "parameter conn_max_lifetime: allowed: 1s to 24h",
		"db=-3":                    "parameter db: allowed: 0 to 2147483647",
		"db=1":                     "the path and db name different databases",
		"skip_verify=true":         "skip_verify is for rediss:// alone",
		"skip_verify=maybe":        "parameter skip_verify: allowed: true or false, with rediss://",
		"addr=b:99999":             "parameter addr: allowed: host:port, repeated for more",
		"addr=":                    "parameter addr: allowed: host:port, repeated for more",
		"master_name=":             "parameter master_name: allowed: the name that the Sentinels know the master by",
		"client_name=":             `unknown parameter "client_name"; allowed: addr, `,
		"client_name=x":            `unknown parameter "client_name"; allowed: addr, `,
		"read_timeout=1ns":         `unknown parameter "read_timeout"; allowed: addr, `,
		"dial_timeout=1ns":         `unknown parameter "dial_timeout"; allowed: addr, `,
		"protocol=3":               `unknown parameter "protocol"; allowed: addr, `,
		"pipeline_pool_size=-1":    `unknown parameter "pipeline_pool_size"; allowed: addr, `,
		"addr=b:1&max_redirects=0": `unknown parameter "max_redirects"; allowed: addr, `,
		"addr=b:1&read_only=true":  `unknown parameter "read_only"; allowed: addr, `,
		"min_idle_conns=5":         `unknown parameter "min_idle_conns"; allowed: addr, `,
		"max_active_conns=1":       `unknown parameter "max_active_conns"; allowed: addr, `,
	} {
		err := Connection{URL: "redis://h/0?" + query}.Validate()
		if !strings.HasPrefix(fmt.Sprint(err), fault) {
			t.Errorf("%s: %v, want %s", query, err, fault)
		}
	}
	for _, url := range []string{"redis://h/-1", "redis://h/x", "redis://h/2147483648", "redis://h:0", "redis://h:70000", "redis://h/1?addr=b:1",
		"unix:///s?addr=b:1", "unix:///s?master_name=m", "unix://", "redis:h", "redis://h#x", "redis://h/0?a=%zz"} {
		if err := (Connection{URL: url}).Validate(); err == nil {
			t.Errorf("%s is valid", url)
		}
	}
}

func TestParametersReachTheClient(t *testing.T) {
	c := Connection{URL: "rediss://h/0?max_retries=0&pool_size=7&pool_timeout=2s&conn_max_idle_time=3m&conn_max_lifetime=4h&skip_verify=true", Timeout: time.Second}
	target, err := c.target()
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.options(target)
	if err != nil {
		t.Fatal(err)
	}
	if o.MaxRetries != -1 || o.PoolSize != 7 || o.PoolTimeout != 2*time.Second || o.ConnMaxIdleTime != 3*time.Minute ||
		o.ConnMaxLifetime != 4*time.Hour || !o.TLSConfig.InsecureSkipVerify || o.ReadTimeout != time.Second {
		t.Errorf("the options are %+v", o)
	}
	if n := (tuning{}).retries(); n != 0 {
		t.Errorf("without the parameter go-redis is told to try %d times again", n)
	}
}

func FuzzTarget(f *testing.F) {
	for _, url := range []string{"redis://u:hush@h:1/2?master_name=m&addr=h2:2", "unix:///s?db=1", "rediss://[::1]?addr=[::2]:1", "redis://h/0?pool_size=1"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		c := Connection{URL: url, Timeout: time.Second}
		target, err := c.target()
		if err != nil {
			return
		}
		if target.database < 0 || target.tuning.poolSize < 0 || target.tuning.retries() < -1 {
			t.Errorf("%q: %+v", url, target)
		}
		client, err := c.client(nil)
		if err != nil {
			t.Fatalf("%q is valid and cannot be opened: %v", url, err)
		}
		_ = client.Close()
	})
}
