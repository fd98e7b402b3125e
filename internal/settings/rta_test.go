package settings

import (
	"slices"
	"strings"
	"testing"
)

// filled is a setting after the Stream Service's variables were read.
type filled struct{ name, value, origin string }

// fill reads an environment into the settings that the Stream Service knows too.
func fill(environ ...string) (rows []filled, faults ConfigErrors) {
	var (
		url            RedisURL
		name           Text
		enabled, exact Bool
		schedule       Schedule
		length         Count
		allowTiny      Bool
	)
	table := Table{
		New("REDIS_URL", &url, "redis://localhost:6379/0", ""),
		New("REDIS_TLS_SERVER_NAME", &name, "", ""),
		New("TRIM_ENABLED", &enabled, true, ""),
		New("TRIM_SCHEDULE", &schedule, "@every 30s", ""),
		New("TRIM_MAX_LENGTH", &length, 10000, "", NotTiny(&length, 10, "few are", "TRIM_ALLOW_TINY", &allowTiny)),
		New("TRIM_EXACT", &exact, false, ""),
	}
	table.Reset()
	for _, pair := range environ {
		if ours, ok := strings.CutPrefix(pair, Prefix+"_"); ok {
			setting, value, _ := strings.Cut(ours, "=")
			if err := table.Set(Override{Name: setting, Text: value, Origin: OriginEnvironment}); err != nil {
				faults = append(faults, err.Error())
			}
		}
	}
	fromRTA := StreamService{
		RedisURL: &url, TLSServerName: &name, TrimEnabled: &enabled, TrimSchedule: &schedule, TrimMaxLength: &length, TrimExact: &exact,
	}.Fill(environ)
	for _, r := range table.Show() {
		rows = append(rows, filled{r.Setting, r.Value, r.Source})
	}
	return rows, slices.Concat(faults, table.Faults(), fromRTA)
}

func TestTheStreamServicesVariablesFillOurSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		variables []string
		want      []filled
	}{
		{
			"a connection string",
			[]string{"RTA_RedisConnectionString=redis.example:7000,user=u,password=p@/ss,defaultDatabase=2"},
			[]filled{{"REDIS_URL", "redis://u:***@redis.example:7000/2", "RTA_RedisConnectionString"}},
		},
		{
			"names in capitals",
			[]string{"RTA_REDISCONNECTIONSTRING=h", "RTA_TRIMMER__TARGETSTREAMLENGTH=500"},
			[]filled{
				{"REDIS_URL", "redis://h:6379/0", "RTA_REDISCONNECTIONSTRING"},
				{"TRIM_MAX_LENGTH", "500", "RTA_TRIMMER__TARGETSTREAMLENGTH"},
			},
		},
		{
			"the prefix in small letters",
			[]string{"rta_redisdb=4"},
			[]filled{{"REDIS_URL", "redis://localhost:6379/4", "rta_redisdb"}},
		},
		{
			"a database number, which outranks the connection string's",
			[]string{"RTA_RedisConnectionString=h,defaultDatabase=2", "RTA_RedisDb=0"},
			[]filled{{"REDIS_URL", "redis://h:6379/0", "RTA_RedisConnectionString"}},
		},
		{
			"TLS with another name in the certificate",
			[]string{"RTA_RedisConnectionString=h,ssl=True,sslHost=cert.example"},
			[]filled{
				{"REDIS_URL", "rediss://h:6380/0", "RTA_RedisConnectionString"},
				{"REDIS_TLS_SERVER_NAME", "cert.example", "RTA_RedisConnectionString"},
			},
		},
		{
			"a name in the certificate without TLS, which turns nothing on",
			[]string{"RTA_RedisConnectionString=h,sslHost=cert.example"},
			[]filled{{"REDIS_TLS_SERVER_NAME", "", OriginDefault}},
		},
		{
			"a URL of ours, which outranks connection string, database and certificate name",
			[]string{"STREAMKEEPER_REDIS_URL=redis://ours:6379/1", "RTA_RedisConnectionString=h,ssl=true,sslHost=x", "RTA_RedisDb=7"},
			[]filled{
				{"REDIS_URL", "redis://ours:6379/1", OriginEnvironment},
				{"REDIS_TLS_SERVER_NAME", "", OriginDefault},
			},
		},
		{
			"an empty URL of ours, which is none",
			[]string{"STREAMKEEPER_REDIS_URL=", "RTA_RedisConnectionString=h"},
			[]filled{{"REDIS_URL", "redis://h:6379/0", "RTA_RedisConnectionString"}},
		},
		{
			"the trimmer switched off, which says nothing about exactness",
			[]string{"RTA_EnableTrimmer=False"},
			[]filled{{"TRIM_ENABLED", "false", "RTA_EnableTrimmer"}, {"TRIM_EXACT", "false", OriginDefault}},
		},
		{
			"an interval in seconds, which makes trimming exact",
			[]string{"RTA_Trimmer__Interval=60"},
			[]filled{{"TRIM_SCHEDULE", "@every 60s", "RTA_Trimmer__Interval"}, {"TRIM_EXACT", "true", "RTA_Trimmer__Interval"}},
		},
		{
			"approximate trimming by word",
			[]string{"RTA_Trimmer__TargetStreamLength=5000", "RTA_Trimmer__ApproxLength=TRUE"},
			[]filled{
				{"TRIM_MAX_LENGTH", "5000", "RTA_Trimmer__TargetStreamLength"},
				{"TRIM_EXACT", "false", "RTA_Trimmer__ApproxLength"},
			},
		},
		{
			"exact trimming by word",
			[]string{"RTA_Trimmer__ApproxLength=false"},
			[]filled{{"TRIM_EXACT", "true", "RTA_Trimmer__ApproxLength"}},
		},
		{
			"our own exactness beside their length",
			[]string{"STREAMKEEPER_TRIM_EXACT=false", "RTA_Trimmer__TargetStreamLength=5000"},
			[]filled{{"TRIM_EXACT", "false", OriginEnvironment}},
		},
		{
			"our own length beside theirs",
			[]string{"STREAMKEEPER_TRIM_MAX_LENGTH=700", "RTA_Trimmer__TargetStreamLength=many"},
			[]filled{{"TRIM_MAX_LENGTH", "700", OriginEnvironment}, {"TRIM_EXACT", "true", "RTA_Trimmer__TargetStreamLength"}},
		},
		{
			"others and empty ones, which are ignored",
			[]string{"RTA_Trimmer__Verbose=1", "RTA_Port=8080", "RTA_Trimmer__Interval=", "RTA_RedisConnectionString="},
			[]filled{
				{"REDIS_URL", "redis://localhost:6379/0", OriginDefault},
				{"TRIM_SCHEDULE", "@every 30s", OriginDefault},
				{"TRIM_EXACT", "false", OriginDefault},
			},
		},
		{
			"the same twice in different letters",
			[]string{"RTA_RedisDb=3", "RTA_REDISDB=3"},
			[]filled{{"REDIS_URL", "redis://localhost:6379/3", "RTA_REDISDB"}},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rows, faults := fill(test.variables...)
			if len(faults) > 0 {
				t.Fatalf("faults: %q", faults)
			}
			for _, want := range test.want {
				if !slices.Contains(rows, want) {
					t.Errorf("got %v, want %v", rows, want)
				}
			}
		})
	}
}

func TestBadVariablesOfTheStreamServiceAreRefusedWithTheExactMessage(t *testing.T) {
	t.Parallel()
	const form = `; allowed: host[:port][,host…][,option=value…]`
	for _, test := range []struct {
		variables []string
		want      []string
	}{
		{[]string{"RTA_EnableTrimmer=1"}, []string{`RTA_EnableTrimmer="1": not a switch; allowed: true or false`}},
		{[]string{"RTA_TRIMMER__APPROXLENGTH=maybe"}, []string{`RTA_TRIMMER__APPROXLENGTH="maybe": not a switch; allowed: true or false`}},
		{[]string{"RTA_Trimmer__Interval=0.5"}, []string{`RTA_Trimmer__Interval="0.5": not an interval; allowed: a whole number of seconds, from 1 to a year`}},
		{[]string{"RTA_Trimmer__Interval=9999999999999"}, []string{`RTA_Trimmer__Interval="9999999999999": not an interval; allowed: a whole number of seconds, from 1 to a year`}},
		{[]string{"RTA_Trimmer__TargetStreamLength=0"}, []string{`RTA_Trimmer__TargetStreamLength="0": not a length; allowed: a whole number from 1`}},
		{[]string{"RTA_Trimmer__TargetStreamLength=5"}, []string{
			`RTA_Trimmer__TargetStreamLength="5": so few are more likely a typo; allowed: 10 or more, 0 for no limit, or STREAMKEEPER_TRIM_ALLOW_TINY=true`,
		}},
		{[]string{"RTA_RedisDb=-1"}, []string{`RTA_RedisDb="-1": not a database; allowed: a whole number from 0`}},
		{[]string{"RTA_RedisDb=1", "RTA_REDISDB=2"}, []string{`RTA_RedisDb: RTA_REDISDB says something else; allowed: one of them`}},
		{[]string{"RTA_RedisConnectionString=h:x,sssl=true", "RTA_RedisDb=two"}, []string{
			`RTA_RedisConnectionString="***": item 1: not a port from 1 to 65535; item 2: unknown option sssl; did you mean ssl?` + form,
			`RTA_RedisDb="two": not a database; allowed: a whole number from 0`,
		}},
		{[]string{"RTA_RedisConnectionString=a,b,defaultDatabase=1"}, []string{
			`RTA_RedisConnectionString="redis://a:6379/1?addr=b:6379": several addresses are a cluster, which has database 0 only`,
		}},
	} {
		t.Run(test.variables[0], func(t *testing.T) {
			t.Parallel()
			if _, got := fill(test.variables...); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
