package doctest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// releaser is a copy of what a release changes.
type releaser struct{ dir string }

func newReleaser(t *testing.T, changelog string) releaser {
	t.Helper()
	r := releaser{t.TempDir()}
	mustDo(t, os.MkdirAll(filepath.Join(r.dir, chartDir), 0o700))
	for _, name := range []string{"Chart.yaml", "README.md"} {
		mustDo(t, os.WriteFile(filepath.Join(r.dir, chartDir, name), []byte(readChart(t, name)), 0o600))
	}
	mustDo(t, os.WriteFile(filepath.Join(r.dir, "CHANGELOG.md"), []byte(changelog), 0o600))
	return r
}

// run runs scripts/release there.
func (r releaser) run(t *testing.T, args ...string) (out string, ok bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "scripts/release", args...)
	cmd.Env = append(os.Environ(), "STREAMKEEPER_ROOT="+r.dir)
	text, err := cmd.CombinedOutput()
	return string(text), err == nil
}

func (r releaser) read(t *testing.T, path string) string {
	t.Helper()
	return readPage(t, filepath.Join(r.dir, path))
}

const unreleased = "# Changelog\n\n## Unreleased\n\n### Fixed\n\n- A & b \\ c.\n\n## 0.0.9 - 2025-01-02\n\n- Old.\n"

func TestReleaseMovesWhatIsUnreleasedAndGivesTheChartItsVersion(t *testing.T) {
	t.Parallel()
	r := newReleaser(t, unreleased)
	if out, ok := r.run(t, "prepare", "1.2.3-rc.1", "2026-01-02"); !ok {
		t.Fatal(out)
	}
	want := strings.Replace(unreleased, "## Unreleased\n", "## Unreleased\n\n## 1.2.3-rc.1 - 2026-01-02\n", 1)
	if got := r.read(t, "CHANGELOG.md"); got != want {
		t.Errorf("the changelog is\n%s\nwant\n%s", got, want)
	}
	before := readChart(t, "Chart.yaml")
	version := regexp.MustCompile(`(?m)^version: (.*)$`).FindStringSubmatch(before)[1]
	for _, name := range []string{"Chart.yaml", "README.md"} {
		want, got := readChart(t, name), r.read(t, filepath.Join(chartDir, name))
		if name == "README.md" {
			want = strings.Replace(want, "Version "+version+",", "Version 1.2.3-rc.1,", 1)
		} else {
			want = strings.NewReplacer("version: "+version+"\n", "version: 1.2.3-rc.1\n", "appVersion: "+version+"\n", "appVersion: 1.2.3-rc.1\n",
				"streamkeeper:"+version+"\n", "streamkeeper:1.2.3-rc.1\n").Replace(want)
		}
		if got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
	if notes, ok := r.run(t, "notes", "1.2.3-rc.1"); !ok || notes != "### Fixed\n\n- A & b \\ c.\n" {
		t.Errorf("the notes are %q", notes)
	}
	if out, ok := r.run(t, "check", "v1.2.3-rc.1"); !ok {
		t.Error(out)
	}
	if out, ok := r.run(t, "check", "v1.2.3"); ok {
		t.Errorf("another tag passes: %s", out)
	}
}

func TestReleaseRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, changelog, version string }{
		{"a version that is not semantic", unreleased, "1.2"},
		{"a version with a v", unreleased, "v1.2.3"},
		{"a number that begins with 0", unreleased, "1.02.3"},
		{"a version that is there", unreleased, "0.0.9"},
		{"nothing that is new", "# Changelog\n\n## Unreleased\n\n## 0.0.9 - 2025-01-02\n\n- Old.\n", "1.2.3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newReleaser(t, test.changelog)
			if out, ok := r.run(t, "prepare", test.version); ok {
				t.Errorf("it takes %s: %s", test.version, out)
			}
			if r.read(t, "CHANGELOG.md") != test.changelog || r.read(t, filepath.Join(chartDir, "Chart.yaml")) != readChart(t, "Chart.yaml") {
				t.Error("files have changed all the same")
			}
		})
	}
}

// The three scripts of the packages, as the package managers call them where no
// systemd runs: they do nothing, and succeed.
func TestPackageScriptsDoNothingWhereNoSystemdRuns(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("systemd runs here")
	}
	for _, call := range [][]string{
		{"postinstall.sh", "configure", ""}, {"postinstall.sh", "configure", "1.0.0"}, {"postinstall.sh", "1"}, {"preremove.sh", "remove"}, {"preremove.sh", "upgrade", "1.1.0"},
		{"preremove.sh", "0"}, {"postremove.sh", "purge"},
	} {
		if out, err := exec.CommandContext(t.Context(), "sh", append([]string{filepath.Join("packaging", call[0])}, call[1:]...)...).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %v %s", call, err, out)
		}
	}
}

// Every setting that the environment file shows has its default, commented or is
// set on purpose, and every file that the packages take is there.
func TestPackagedEnvironmentNamesSettingsWithTheirDefaults(t *testing.T) {
	t.Parallel()
	rows := defaults(t)
	for _, m := range regexp.MustCompile(`(?m)^(#?)STREAMKEEPER_(\w+)=(.*)$`).FindAllStringSubmatch(readPage(t, "packaging/streamkeeper.env"), -1) {
		switch row := valueOf(t, rows, m[2]); {
		case m[1] == "":
			if effective(t, "STREAMKEEPER_"+m[2]+"="+m[3]) == nil {
				t.Errorf("%s=%s is refused", m[2], m[3])
			}
		case m[2] != "REDIS_USERNAME" && row.Value != m[3]:
			t.Errorf("%s: the default is %q, the file shows %q", m[2], row.Value, m[3])
		}
	}
	for _, m := range regexp.MustCompile(`src: ([^,]+),`).FindAllStringSubmatch(readPage(t, "packaging/nfpm.yaml"), -1) {
		if strings.HasPrefix(m[1], ".tools/") { // made by scripts/release-extras
			continue
		}
		if _, err := os.Stat(m[1]); err != nil {
			t.Error(err)
		}
	}
}

// A tag of an action can be moved by whoever owns it, a commit cannot.
func TestEveryActionIsPinnedByItsCommit(t *testing.T) {
	t.Parallel()
	workflows, err := filepath.Glob(".github/workflows/*.yaml")
	mustDo(t, err)
	tags := make(map[string]string)
	for _, path := range workflows {
		for _, m := range regexp.MustCompile(`(?m)uses: (\S+)( # \S+)?`).FindAllStringSubmatch(readPage(t, path), -1) {
			if !regexp.MustCompile(`^[\w-]+/[\w/-]+@[0-9a-f]{40}$`).MatchString(m[1]) || m[2] == "" {
				t.Errorf("%s: %s%s is not a commit with its tag behind it", path, m[1], m[2])
			}
			action, commit, _ := strings.Cut(m[1], "@")
			if other, found := tags[action]; found && other != commit {
				t.Errorf("%s: %s has another commit elsewhere", path, action)
			}
			tags[action] = commit
		}
	}
	if len(tags) < 10 {
		t.Errorf("only %d actions found", len(tags))
	}
}

// A tag of an image can be moved as well. Only what is built here has none.
func TestEveryImageIsPinnedByItsDigest(t *testing.T) {
	t.Parallel()
	found := 0
	for path, named := range map[string]string{
		"Dockerfile": `(?m)^FROM (?:--\S+ )?(\S+)`, "compose.yaml": `(?m)^ +image: (\S+)`, "scripts/kind": `--image (\S+)`,
	} {
		for _, m := range regexp.MustCompile(named).FindAllStringSubmatch(readPage(t, path), -1) {
			found++
			if m[1] != "streamkeeper" && !regexp.MustCompile(`^[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}$`).MatchString(m[1]) {
				t.Errorf("%s: %s is not a tag with its digest behind it", path, m[1])
			}
		}
	}
	if found < 8 {
		t.Errorf("only %d images found", found)
	}
}

// The files of a release and its image have the same binary only if one Go builds
// them: that of go.mod, which every workflow takes.
func TestOneGoBuildsEverything(t *testing.T) {
	t.Parallel()
	toolchain := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindStringSubmatch(readPage(t, "go.mod"))
	if toolchain == nil {
		t.Fatal("go.mod names no toolchain")
	}
	if image := "golang:" + toolchain[1] + "-"; !strings.Contains(readPage(t, "Dockerfile"), image) {
		t.Errorf("the Dockerfile builds on another image than %s", image)
	}
	workflows, err := filepath.Glob(".github/workflows/*.yaml")
	mustDo(t, err)
	setups := 0
	for _, path := range workflows {
		text := readPage(t, path)
		setups += strings.Count(text, "actions/setup-go@")
		if got, want := strings.Count(text, "go-version-file: go.mod\n"), strings.Count(text, "actions/setup-go@"); got != want || strings.Contains(text, "go-version:") {
			t.Errorf("%s sets Go up %d times, %d times as go.mod says", path, want, got)
		}
	}
	if setups < 5 {
		t.Errorf("only %d set-ups of Go found", setups)
	}
}
