package doctest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

const (
	settingsPage  = "docs/settings.md"
	inspectorPage = "docs/inspector.md"
)

// rowsOf are the cells of the rows of all tables of a page, as text without
// backticks; headings and rules are none.
func rowsOf(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), " |") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	return rows
}

func TestTheSettingsGuideListsEverySettingWithItsDefault(t *testing.T) {
	t.Parallel()
	var got, want [][2]string
	for _, cells := range rowsOf(readPage(t, settingsPage)) {
		got = append(got, [2]string{strings.Trim(cells[0], "`"), strings.Trim(cells[1], "`")})
	}
	for _, row := range defaults(t) {
		want = append(want, [2]string{row.Setting, row.Value})
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("row %d of %s: got %q, want %q", i+1, settingsPage, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

// A name in a page that looks like a setting is one, with our prefix or not.
func TestTheDocumentationNamesNoSettingThatIsNotThere(t *testing.T) {
	t.Parallel()
	var known []string
	for _, row := range defaults(t) {
		known = append(known, row.Setting)
	}
	groups := make(map[string]bool)
	for _, name := range known {
		group, _, _ := strings.Cut(name, "_")
		groups[group] = true
	}
	name := regexp.MustCompile(`\b[A-Z]+(?:_[A-Z]+)+\b(_?\*)?`)
	for _, path := range pages(t) {
		var text strings.Builder
		for _, b := range blocksOf(readPage(t, path)) {
			lines := strings.Join(b.lines, "\n")
			if b.language == prose {
				lines = strings.Join(codeSpan.FindAllString(lines, -1), "\n")
			}
			text.WriteString(lines + "\n")
		}
		for _, found := range name.FindAllString(text.String(), -1) {
			setting, ours := strings.CutPrefix(found, settings.Prefix+"_")
			group, _, _ := strings.Cut(setting, "_")
			stem, several := strings.CutSuffix(setting, "*")
			switch {
			case !ours && !groups[group], slices.Contains(known, setting), setting == "TRIM_MAXAGE": // the guide's typo
			case setting == "REDIS_SERVERS": // of the tests, which CONTRIBUTING explains
			case several && slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, stem) }):
			default:
				t.Errorf("%s names the setting %s, which there is not", path, found)
			}
		}
	}
}

func TestTheOperationsGuideSaysTypeAndLabelsOfEveryMetric(t *testing.T) {
	t.Parallel()
	types := metricTypes(t)
	labels := metricLabels(t)
	for _, cells := range rowsOf(readPage(t, runbooksFile)) {
		for name := range strings.SplitSeq(cells[0], ", ") {
			name = strings.Trim(name, "`")
			if !strings.HasPrefix(name, "streamkeeper_") {
				continue
			}
			said := strings.Split(cells[2], ", ")
			slices.Sort(said)
			if cells[1] != types[name] || strings.Join(said, ", ") != labels[name] {
				t.Errorf("%s: %s is a %s with the labels %q; /metrics has a %s with %q", runbooksFile, name, cells[1], cells[2], types[name], labels[name])
			}
			delete(types, name)
		}
	}
	for name := range maps.Keys(types) {
		if strings.HasPrefix(name, "streamkeeper_") {
			t.Errorf("%s has no row for %s", runbooksFile, name)
		}
	}
}

// metricLabels are the names of each metric's labels, sorted.
func metricLabels(t *testing.T) map[string]string {
	t.Helper()
	labels := make(map[string]string)
	for line := range strings.Lines(metricsPage(t)) {
		name, rest, found := strings.Cut(line, "{")
		if !found || strings.HasPrefix(line, "#") {
			continue
		}
		var names []string
		for _, m := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(rest, -1) {
			if m[1] != "le" {
				names = append(names, m[1])
			}
		}
		labels[strings.TrimSuffix(name, "_bucket")] = strings.Join(names, ", ")
	}
	return labels
}

func TestTheInspectorGuideExplainsEveryReason(t *testing.T) {
	t.Parallel()
	var got, want []string
	for _, cells := range rowsOf(readPage(t, inspectorPage)) {
		if len(cells) == 3 {
			got = append(got, strings.Trim(cells[0], "`"))
		}
	}
	for _, reason := range inspect.AllReasons() {
		want = append(want, string(reason))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s explains %q, want %q", inspectorPage, got, want)
	}
}

func TestEveryLinkInTheDocumentationLeadsSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, path := range pages(t) {
		for _, b := range blocksOf(readPage(t, path)) {
			if b.language != prose {
				continue
			}
			for _, m := range link.FindAllStringSubmatch(strings.Join(b.lines, "\n"), -1) {
				if !strings.Contains(m[1], "://") && !leadsSomewhere(t, path, m[1]) {
					t.Errorf("%s: nothing is at %s", path, m[1])
				}
			}
		}
	}
}

// leadsSomewhere looks for the file, and for the heading in it.
func leadsSomewhere(t *testing.T, from, link string) bool {
	t.Helper()
	file, anchor, _ := strings.Cut(link, "#")
	target := from
	if file != "" {
		target = filepath.Join(filepath.Dir(from), file)
	}
	if _, err := os.Stat(target); err != nil {
		return false
	}
	return anchor == "" || slices.Contains(anchorsOf(readPage(t, target)), anchor)
}

// anchorsOf are a page's headings as links name them: in small letters, spaces
// as hyphens, without other punctuation.
func anchorsOf(text string) (all []string) {
	for _, b := range blocksOf(text) {
		for _, line := range b.lines {
			if b.language != prose || !strings.HasPrefix(line, "#") {
				continue
			}
			heading := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
			all = append(all, strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
					return r
				}
				return -1
			}, heading))
		}
	}
	return all
}
