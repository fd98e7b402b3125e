package doctest

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

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

// snakeCase writes maxLength as max_length.
func snakeCase(name string) string {
	return strings.ToLower(regexp.MustCompile("[A-Z]").ReplaceAllString(name, "_$0"))
}
