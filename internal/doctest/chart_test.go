package doctest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/schedule"
)

// The chart's values and the program's settings are the same thing said twice.
// What needs no helm is proved from the chart's files alone.

const chartDir = "helm/streamkeeper"

func readChart(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chartDir, name))
	mustDo(t, err)
	return string(text)
}

// mapping says that a value of the chart is a setting.
type mapping struct{ path, setting string }

// chartMappings reads a table of _settings.tpl.
func chartMappings(t *testing.T, table string) (all []mapping) {
	t.Helper()
	_, rest, found := strings.Cut(readChart(t, "templates/_settings.tpl"), `define "streamkeeper.`+table+`"`)
	if !found {
		t.Fatalf("_settings.tpl has no table %s", table)
	}
	text, _, _ := strings.Cut(rest, "{{- end }}")
	for _, m := range regexp.MustCompile(`(?m)^([\w.]+): (\w+)$`).FindAllStringSubmatch(text, -1) {
		all = append(all, mapping{m[1], m[2]})
	}
	if len(all) == 0 {
		t.Fatalf("the table %s is empty", table)
	}
	return all
}

// chartValue is a key of values.yaml without keys below it.
type chartValue struct {
	// value is the text as it stands there, and documented what a comment says
	// of the default.
	value, documented string
	described         bool
}

// chartValues reads values.yaml, by path. It knows as much of YAML as stands there.
func chartValues(t *testing.T) map[string]chartValue {
	t.Helper()
	all := make(map[string]chartValue)
	var parents []string
	var described []int // the levels that a comment speaks of as a whole
	var next chartValue
	for line := range strings.Lines(readChart(t, "values.yaml")) {
		text := strings.TrimSpace(line)
		if comment, found := strings.CutPrefix(text, "# "); found {
			next.described = next.described || strings.HasPrefix(comment, "-- ")
			if standard, found := strings.CutPrefix(comment, "@default -- "); found {
				next.documented = strings.Trim(standard, "`")
			}
			continue
		}
		key, value, found := strings.Cut(text, ":")
		if !found || strings.HasPrefix(text, "-") {
			continue
		}
		level := (len(line) - len(strings.TrimLeft(line, " "))) / 2
		parents = append(parents[:min(level, len(parents))], key)
		described = slices.DeleteFunc(described, func(l int) bool { return l >= level })
		if path := strings.Join(parents, "."); len(parents) == level+1 {
			delete(all, strings.Join(parents[:level], "."))
			next.value = strings.TrimSpace(value)
			if next.described {
				described = append(described, level)
			}
			next.described = len(described) > 0
			all[path] = next
		} else {
			t.Fatalf("values.yaml: %q is indented too far", text)
		}
		next = chartValue{}
	}
	return all
}

// notInChart are the settings without a value, and why.
func notInChart() map[string]string {
	return map[string]string{
		"REDIS_PASSWORD":          "everybody who may read Pods would read it: a Secret is mounted as REDIS_PASSWORD_FILE",
		"REDIS_SENTINEL_PASSWORD": "as REDIS_PASSWORD",
		"TRIM_POLICIES":           "a file can change without a restart: TRIM_POLICIES_FILE",
	}
}

func TestChartMapsEverySettingOnceAndNothingElse(t *testing.T) {
	t.Parallel()
	values := chartValues(t)
	inPlain, inSecret := make(map[string]int), make(map[string]int)
	for _, m := range chartMappings(t, "settings") {
		inPlain[m.setting]++
		if _, ok := values[m.path]; !ok {
			t.Errorf("%s is mapped to %s, and values.yaml has no such value", m.path, m.setting)
		}
	}
	for _, m := range chartMappings(t, "secretSettings") {
		inSecret[m.setting]++
		if _, ok := values[m.path]; !ok {
			t.Errorf("%s is mapped to %s, and values.yaml has no such value", m.path, m.setting)
		}
	}
	for _, row := range defaults(t) {
		name := row.Setting
		_, left := notInChart()[name]
		// Where both exist, the chart refuses to be given both.
		eitherOr := slices.Contains([]string{"REDIS_URL", "REDIS_USERNAME", "REDIS_SENTINEL_USERNAME"}, name)
		switch plain, secret := inPlain[name], inSecret[name]; {
		case left && plain+secret > 0:
			t.Errorf("%s is mapped, and should not be: %s", name, notInChart()[name])
		case eitherOr && (plain != 1 || secret != 1):
			t.Errorf("%s is mapped to %d values and %d keys of Secrets, want one of each", name, plain, secret)
		case !left && !eitherOr && plain+secret != 1:
			t.Errorf("%s is mapped %d times, want once", name, plain+secret)
		}
		delete(inPlain, name)
		delete(inSecret, name)
	}
	for _, unknown := range []map[string]int{inPlain, inSecret} {
		for name := range unknown {
			t.Errorf("%s is no setting", name)
		}
	}
}

func TestEveryValueOfASettingsGroupIsMapped(t *testing.T) {
	t.Parallel()
	mapped := make(map[string]bool)
	for _, m := range slices.Concat(chartMappings(t, "settings"), chartMappings(t, "secretSettings")) {
		mapped[m.path] = true
	}
	for path := range chartValues(t) {
		group, _, _ := strings.Cut(path, ".")
		ofSettings := slices.Contains([]string{"buffer", "trim", "cleanup", "inspect", "metrics", "lease", "log", "shutdownGrace"}, group)
		// The name of a Secret goes with the keys that are mapped.
		ofSettings = ofSettings && !strings.HasSuffix(path, ".secret.name")
		if ofSettings && !mapped[path] {
			t.Errorf("%s is no setting: nothing happens when it is given", path)
		}
	}
}

func TestChartDefaultsAreThoseOfTheProgram(t *testing.T) {
	t.Parallel()
	values, byDefault := chartValues(t), defaults(t)
	for _, m := range chartMappings(t, "settings") {
		v, standard := values[m.path], valueOf(t, byDefault, m.setting).Value
		switch {
		case m.setting == "LISTEN":
			if got := ":" + v.value; got != standard {
				t.Errorf("%s makes LISTEN %s, and the program's default is %s", m.path, got, standard)
			}
		case v.value == "[]": // nothing, so the default holds
		case v.value != "":
			t.Errorf("%s is %s: leave it empty, so that the program's default and the Stream Service's own variables count", m.path, v.value)
		case v.documented != standard:
			t.Errorf("%s: the comment says that the default is %q, and it is %q", m.path, v.documented, standard)
		}
	}
}

// Where a template reckons with a setting that is not given, it must reckon
// with the program's default.
func TestDefaultsInTemplatesAreThoseOfTheProgram(t *testing.T) {
	t.Parallel()
	byDefault, names := defaults(t), make(map[string]string)
	for _, m := range chartMappings(t, "settings") {
		names[m.path] = m.setting
	}
	files, err := filepath.Glob(chartDir + "/templates/*.tpl")
	mustDo(t, err)
	found := 0
	for _, file := range files {
		text := readChart(t, filepath.Join("templates", filepath.Base(file)))
		for _, m := range regexp.MustCompile(`\.(shutdownGrace|cleanup\.\w+|trim\.\w+) \| default "(\w+)"`).FindAllStringSubmatch(text, -1) {
			found++
			if want := valueOf(t, byDefault, names[m[1]]).Value; m[2] != want {
				t.Errorf("%s takes %s for the default of %s, want %s", file, m[2], m[1], want)
			}
		}
	}
	if found == 0 {
		t.Error("none found: has the way of writing them changed?")
	}
}

// schemaNode is the part of a JSON schema that tells which keys there are.
type schemaNode struct {
	Type                 any                   `json:"type"`
	Properties           map[string]schemaNode `json:"properties"`
	AdditionalProperties json.RawMessage       `json:"additionalProperties"`
	Ref                  string                `json:"$ref"`
	Definitions          map[string]schemaNode `json:"definitions"`
}

func TestSchemaKnowsExactlyTheValuesThereAre(t *testing.T) {
	t.Parallel()
	var root schemaNode
	mustDo(t, json.Unmarshal([]byte(readChart(t, "values.schema.json")), &root))
	values := chartValues(t)
	var walk func(path string, n schemaNode)
	walk = func(path string, n schemaNode) {
		// Of global, other charts have more.
		if n.Properties != nil && path != "global" && string(n.AdditionalProperties) != "false" {
			t.Errorf("%s: a misspelt key would go unnoticed: want additionalProperties false", path)
		}
		prefix := strings.TrimPrefix(path+".", ".")
		for key, child := range n.Properties {
			walk(prefix+key, child)
		}
		if n.Properties != nil {
			return
		}
		if !hasValue(values, path) {
			t.Errorf("the schema has %s, and values.yaml has not", path)
		}
	}
	walk("", root)
	for name, definition := range root.Definitions {
		if definition.Properties != nil && string(definition.AdditionalProperties) != "false" {
			t.Errorf("definition %s: want additionalProperties false", name)
		}
	}
	for path, v := range values {
		if !root.has(strings.Split(path, ".")) {
			t.Errorf("values.yaml has %s, and the schema has not", path)
		}
		if !v.described {
			t.Errorf("%s: no comment says what it is for", path)
		}
	}
}

// has reports whether a key is named, or lies below one that leads elsewhere.
func (n schemaNode) has(path []string) bool {
	if len(path) == 0 || n.Properties == nil {
		return true
	}
	child, ok := n.Properties[path[0]]
	return ok && child.has(path[1:])
}

// hasValue reports whether a path is in values.yaml, or could be where {} stands.
func hasValue(values map[string]chartValue, path string) bool {
	for have, v := range values {
		if have == path || strings.HasPrefix(have, path+".") || v.value == "{}" && strings.HasPrefix(path, have+".") {
			return true
		}
	}
	return false
}

// schedulePattern is what the schema demands of a schedule.
func schedulePattern(t *testing.T, definition string) *regexp.Regexp {
	t.Helper()
	type node struct {
		Pattern string
		AnyOf   []struct{ Pattern string } `json:"anyOf"`
	}
	var schema struct {
		Definitions map[string]struct {
			If struct{ Not node }
		}
	}
	mustDo(t, json.Unmarshal([]byte(readChart(t, "values.schema.json")), &schema))
	demanded := schema.Definitions[definition].If.Not
	for _, one := range demanded.AnyOf {
		demanded.Pattern += one.Pattern
	}
	pattern, err := regexp.Compile(demanded.Pattern)
	mustDo(t, err)
	return pattern
}

func TestTheSchemaChecksSchedulesAsTheProgramDoes(t *testing.T) {
	t.Parallel()
	for spec, right := range map[string]bool{
		"* * * * *": true, "*/5 * * * *": true, "5/15 * * * *": true, "1,2,3-5/2,* * * * *": true, "? 0 ? * ?": true, "0  4 1 * *": true,
		"0 0 * JAN-mar MON,fri": true, "59 23 31 12 6": true, "05 04 01 09 0": true, "0 0 0 1 1 *": true, "30 0 4 * * *": true,
		"@hourly": true, "@daily": true, "@midnight": true, "@weekly": true, "@monthly": true, "@yearly": true, "@annually": true,
		"@every 30s": true, "@every 1h30m": true, "@every 1.5h": true, "@every 7d": true, "@every 1d12h": true, "@every  5m ": true,
		"60 * * * *": false, "* 24 * * *": false, "* * 0 * *": false, "* * 32 * *": false, "* * * 0 *": false, "* * * 13 *": false, "* * * * 7": false,
		"*/0 * * * *": false, "*/x * * * *": false, "a * * * *": false, "* * * MAY1 *": false, "1- * * * *": false, ", * * * *": false, "* * * *": false,
		"* * * * * * *": false, "@reboot": false, "@every 30": false, "@every": false, "@every ": false, "@every 1d1d": false, "@every often": false,
		"TZ=UTC * * * * *": false, "CRON_TZ=UTC * * * * *": false, "often": false, "-1 * * * *": false, "1.5 * * * *": false,
	} {
		_, err := schedule.ParseSchedule(spec)
		if program, schema := err == nil, schedulePattern(t, "schedule").MatchString(spec); program != right || schema != right {
			t.Errorf("%q: the program takes it: %t, the schema: %t; want %t", spec, program, schema, right)
		}
		ofKubernetes := right && !strings.HasPrefix(spec, "@every") && (strings.HasPrefix(spec, "@") || len(strings.Fields(spec)) == 5)
		if schedulePattern(t, "cronSchedule").MatchString(spec) != ofKubernetes {
			t.Errorf("%q: the schema takes it for a CronJob: %t", spec, !ofKubernetes)
		}
	}
}

// chartHelm is the helm that the chart's own checks have built.
func chartHelm(t *testing.T) string {
	t.Helper()
	helm, err := filepath.Abs(".tools/bin/helm")
	mustDo(t, err)
	if _, err := os.Stat(helm); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("helm is missing: make chart builds it")
		}
		t.Skip("helm is missing: make chart builds it")
	}
	return helm
}

// renderedSettings reads the variables of each container, as Kubernetes would
// hand them over, out of rendered manifests.
func renderedSettings(t *testing.T, manifests string) (all []map[string]string) {
	t.Helper()
	variable := regexp.MustCompile(`- name: ` + settings.Prefix + `_(\w+)\n +(?:value: (.*)|valueFrom:)`)
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		container := make(map[string]string)
		for _, m := range variable.FindAllStringSubmatch(document, -1) {
			name, value := m[1], m[2]
			if _, twice := container[name]; twice {
				t.Errorf("%s is given twice", name)
			}
			if strings.HasPrefix(value, `"`) {
				var err error
				value, err = strconv.Unquote(value)
				mustDo(t, err)
			}
			container[name] = strings.ReplaceAll(value, "$$", "$")
		}
		if len(container) > 0 {
			all = append(all, container)
		}
	}
	return all
}

// loadRendered has the program read a container's variables; what comes from
// Secrets is made up, and policies are what is in their file.
func loadRendered(t *testing.T, container map[string]string, policies string) []settings.Shown {
	t.Helper()
	certificates := sync.OnceValue(func() *redistest.Certificates { return redistest.MakeCertificates(t, "redis") })
	file := filepath.Join(t.TempDir(), "secret")
	mustDo(t, os.WriteFile(file, []byte("secret"), 0o600))
	policyFile := filepath.Join(t.TempDir(), "policies")
	mustDo(t, os.WriteFile(policyFile, []byte(policies), 0o600))
	var environment []string
	for name, value := range container {
		switch {
		case name == "TRIM_POLICIES_FILE":
			value = policyFile
		case name == "REDIS_TLS_CA_FILE":
			value = certificates().CA
		case name == "REDIS_TLS_CERT_FILE":
			value = certificates().ClientCert
		case name == "REDIS_TLS_KEY_FILE":
			value = certificates().ClientKey
		case strings.HasSuffix(name, "_FILE") && name != "METRICS_FILE":
			value = file
		case name == "REDIS_URL" && value == "":
			value = "redis://redis:6379/0"
		case value == "":
			value = "from a Secret"
		}
		environment = append(environment, settings.Prefix+"_"+name+"="+value)
	}
	return effective(t, environment...)
}

// renderedPolicies is the file of the policies in rendered manifests.
func renderedPolicies(t *testing.T, manifests string) (text string) {
	t.Helper()
	if m := regexp.MustCompile(`(?m)^ {2}policies: (".*")$`).FindStringSubmatch(manifests); m != nil {
		mustDo(t, json.Unmarshal([]byte(m[1]), &text))
	}
	return text
}

func TestProgramAcceptsWhatTheChartRenders(t *testing.T) {
	t.Parallel()
	helm := chartHelm(t)
	files, err := filepath.Glob(chartDir + "/ci/*.yaml")
	mustDo(t, err)
	if len(files) < 5 {
		t.Fatalf("only %v found", files)
	}
	seen := make(map[string]bool)
	for _, file := range append(files, os.DevNull) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			out, err := exec.Command(helm, "template", "release", chartDir, "--kube-version", "1.34.4", "--values", file).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			containers := renderedSettings(t, string(out))
			if len(containers) == 0 && file != os.DevNull {
				t.Fatal("no container with settings")
			}
			for _, container := range containers {
				rows := loadRendered(t, container, renderedPolicies(t, string(out)))
				for name := range container {
					seen[name] = true
					if source := valueOf(t, rows, name).Source; source != settings.OriginEnvironment {
						t.Errorf("%s comes from %s", name, source)
					}
				}
			}
		})
	}
	for _, m := range slices.Concat(chartMappings(t, "settings"), chartMappings(t, "secretSettings")) {
		if !seen[m.setting] {
			t.Errorf("no values file in ci/ sets %s", m.setting)
		}
	}
}
