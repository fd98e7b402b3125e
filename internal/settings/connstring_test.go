package settings

import (
	"net/url"
	"strings"
	"testing"
)

func TestConnectionStringsBecomeURLs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"localhost", "redis://localhost:6379/0"},
		{"localhost:7000", "redis://localhost:7000/0"},
		{" localhost , ssl = yes ,, ", "rediss://localhost:6380/0"},
		{"my_host-1.example", "redis://my_host-1.example:6379/0"},
		{"10.1.2.3:6379", "redis://10.1.2.3:6379/0"},
		{"[::1]:7000", "redis://[::1]:7000/0"},
		{"[::1]", "redis://[::1]:6379/0"},
		{"fe80::1", "redis://[fe80::1]:6379/0"},
		{"h,password=pw", "redis://:pw@h:6379/0"},
		{"h,user=me", "redis://me:@h:6379/0"},
		{"h,PassWord=a=b/c@d:e,USER=me", "redis://me:a=b%2Fc%40d%3Ae@h:6379/0"},
		{"h,password=first,password=second", "redis://:second@h:6379/0"},
		{"h,defaultDatabase=7", "redis://h:6379/7"},
		{"a:1,b:2,a:1,c", "redis://a:1/0?addr=b:2&addr=c:6379"},
		{"a,b,serviceName=my master", "redis://a:26379/0?addr=b:26379&master_name=my+master"},
		{"a,serviceName=m,ssl=true,defaultDatabase=3", "rediss://a:26379/3?master_name=m"},
		{"h,ssl=false,abortConnect=false,connectTimeout=5000,syncTimeout=1,name=x,TIEBREAKER=,keepAlive=60,$CONFIG=", "redis://h:6379/0"},
		{"h,proxy=None,tunnel=", "redis://h:6379/0"},
		{"x.redis.cache.windows.net:6380,password=abc=,ssl=True,abortConnect=False", "rediss://:abc=@x.redis.cache.windows.net:6380/0"},
	} {
		t.Run(test.text, func(t *testing.T) {
			c, err := parseConnectionString(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.url(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if err := checkRedisURL(c.url()); err != nil {
				t.Errorf("the URL is refused: %v", err)
			}
		})
	}
}

func TestBadConnectionStringsAreRefusedWithTheExactMessage(t *testing.T) {
	t.Parallel()
	const lateHost = "a host after the password, or a password with a comma, which belongs into STREAMKEEPER_REDIS_URL or a password file"
	for _, test := range []struct{ text, want string }{
		{"", "no host"},
		{" , ", "no host"},
		{"password=x", "no host"},
		{"h:", "item 1: not a port from 1 to 65535"},
		{"h:0", "item 1: not a port from 1 to 65535"},
		{"h:65536", "item 1: not a port from 1 to 65535"},
		{":6379", "item 1: not a host or host:port"},
		{"a:b:c", "item 1: not a host or host:port"},
		{"redis://h", "item 1: not a port from 1 to 65535"},
		{"h h", "item 1: not a host or host:port"},
		{"h,ssl=1", "item 2: ssl: not a switch; allowed: true or false"},
		{"h,defaultDatabase=-1", "item 2: defaultdatabase: not a database; allowed: a whole number from 0"},
		{"h,proxy=Twemproxy", "item 2: proxy: not supported"},
		{"h,tunnel=http:p:80", "item 2: tunnel: not supported"},
		{"h,abortConect=true", "item 2: unknown option abortConect; did you mean abortConnect?"},
		{"h,=x", "item 2: unknown option"},
		{"h,password=a,b", "item 3: " + lateHost},
		{"h,password=a,b=c", "item 3: unknown option"},
		{"h:x,ssl=1", "item 1: not a port from 1 to 65535\nitem 2: ssl: not a switch; allowed: true or false"},
	} {
		t.Run(test.text, func(t *testing.T) {
			_, err := parseConnectionString(test.text)
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// FuzzConnectionString holds the parser to three promises: what it takes becomes
// a URL that we take, which keeps the password, and errors never quote it.
func FuzzConnectionString(f *testing.F) {
	for _, seed := range []string{
		"localhost", "a:1,b:2,ssl=true", "[::1]:7,defaultDatabase=3", "h,serviceName=m,user=u", "h,proxy=None", "h,$X=y", "::", ",,=",
	} {
		f.Add(seed, "p@ss/w:rd?#%")
	}
	f.Fuzz(func(t *testing.T, text, password string) {
		password = strings.TrimSpace(strings.ReplaceAll(password, ",", ""))
		c, err := parseConnectionString(text + ",password=" + password)
		if err != nil {
			return
		}
		if err := checkRedisURL(c.url()); err != nil && !strings.Contains(err.Error(), "database 0 only") &&
			!strings.ContainsAny(c.serviceName, ",=") {
			t.Fatalf("%q became a URL that is refused: %v", text, err)
		}
		u, err := url.Parse(c.url())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := u.User.Password(); got != password {
			t.Errorf("password %q became %q", password, got)
		}
	})
}

// FuzzPasswordsStayHidden puts a password where none of our messages may show it.
func FuzzPasswordsStayHidden(f *testing.F) {
	for _, seed := range []string{"", "/", "?", "#", "@", ":", "1/", "1?a=", "1#", ",", "%", "[", ";", "&"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, noise string) {
		const secret = "Hush4711"
		for _, text := range []string{
			"redis://user:" + noise + secret + "@host:6379/0",
			"redis://user:" + secret + noise + "@host:6379/0",
			"host,password=" + noise + secret,
			"host,password=" + secret + noise,
		} {
			shown := redisURLSyntax{}.mask(text) + webURLSyntax{}.mask(text)
			if err := checkRedisURL(text); err != nil {
				shown += err.Error()
			}
			if _, err := (webURLSyntax{}).parse(text); err != nil {
				shown += err.Error()
			}
			if _, err := parseConnectionString(text); err != nil {
				shown += err.Error()
			}
			if strings.Contains(strings.ToLower(shown), strings.ToLower(secret)) {
				t.Errorf("%q shows the password: %s", text, shown)
			}
		}
	})
}
