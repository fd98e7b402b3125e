package doctest

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/jobs"
	"github.com/streamkeeper/streamkeeper/trim"
)

// A key of a policy is known to the chart, too, and described.
func TestTheChartAndTheDocumentsKnowEachKeyOfAPolicy(t *testing.T) {
	var schema struct {
		Definitions struct {
			Policy struct{ Properties map[string]any }
		}
	}
	mustDo(t, json.Unmarshal([]byte(readChart(t, "values.schema.json")), &schema))
	properties := schema.Definitions.Policy.Properties
	for _, ofTheRule := range []string{"pattern", "stream"} {
		delete(properties, ofTheRule)
	}
	inSchema := make(map[string]bool)
	for name := range properties {
		inSchema[strings.TrimSuffix(snakeCase(name), "_all")] = true
	}
	want := slices.Sorted(slices.Values(trim.KeyNames()))
	if got := slices.Sorted(maps.Keys(inSchema)); !slices.Equal(got, want) {
		t.Errorf("values.schema.json knows the keys %q, want %q", got, want)
	}
	template, documented := readChart(t, "templates/_settings.tpl"), readPage(t, "docs/settings.md")
	for _, key := range want {
		if !regexp.MustCompile(`"` + key + `"|"` + key + `=`).MatchString(template) {
			t.Errorf("_settings.tpl does not write %s", key)
		}
		if !strings.Contains(documented, "`"+key) {
			t.Errorf("docs/settings.md does not describe %s", key)
		}
	}
}

// A job that can be asked for is known to the chart, too, and named where the
// documents list all of them.
func TestTheChartAndTheDocumentsKnowEachJob(t *testing.T) {
	var schema struct {
		Properties struct {
			Cronjob struct {
				Properties struct {
					Jobs   struct{ Items struct{ Enum []string } }
					PerJob struct{ Properties map[string]any }
				}
			}
		}
	}
	mustDo(t, json.Unmarshal([]byte(readChart(t, "values.schema.json")), &schema))
	cronjob, want := schema.Properties.Cronjob.Properties, jobs.OnDemand()
	if got := cronjob.Jobs.Items.Enum; !slices.Equal(got, want) {
		t.Errorf("cronjob.jobs of values.schema.json knows %q, want %q", got, want)
	}
	if got := slices.Sorted(maps.Keys(cronjob.PerJob.Properties)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("cronjob.perJob of values.schema.json knows %q, want %q", got, want)
	}
	list := strings.Join(want, ", ")
	if text := "some of " + list + "; empty"; !strings.Contains(readChart(t, "values.yaml"), text) {
		t.Errorf("values.yaml does not say %q of cronjob.jobs", text)
	}
	if text := "; jobs are " + list + " and metrics,"; !strings.Contains(readPage(t, "docs/operations.md"), text) {
		t.Errorf("docs/operations.md does not say %q of streamkeeper_job_runs_total", text)
	}
}

// What protects entries is listed with the metric that says so.
func TestTheDocumentsKnowEachProtector(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| `streamkeeper_stream_protected_entries` .*$").FindString(readPage(t, "docs/operations.md"))
	_, list, _ := strings.Cut(row, "as the last trimming run found: ")
	var got []trim.Protector
	for _, name := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(list, -1) {
		got = append(got, trim.Protector(name[1]))
	}
	if want := trim.Protectors[:]; !slices.Equal(got, want) {
		t.Errorf("docs/operations.md lists the values %q of by, want %q", got, want)
	}
}

// snakeCase writes maxLength as max_length.
func snakeCase(name string) string {
	return strings.ToLower(regexp.MustCompile("[A-Z]").ReplaceAllString(name, "_$0"))
}
