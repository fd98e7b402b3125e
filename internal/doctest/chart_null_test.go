package doctest

import (
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// keptOnNull are the values that decide whether something is rendered at all.
func keptOnNull() []string {
	return []string{
		"mode", "redis.host", "daemon.replicas", "monitoring.scrape.kind", "monitoring.rules.enabled", "monitoring.dashboard.enabled",
		"networkPolicy.enabled", "serviceAccount.create", "helmTest.enabled",
	}
}

// renderNull renders the chart with everything switched on, and with these
// values null.
func renderNull(t *testing.T, mode string, paths []string) (string, error) {
	t.Helper()
	set := []string{
		"mode=" + mode, "redis.host=redis", "daemon.replicas=2", "monitoring.scrape.kind=PodMonitor", "monitoring.rules.enabled=true",
		"monitoring.dashboard.enabled=true", "networkPolicy.enabled=true",
	}
	for _, path := range paths {
		set = append(set, path+"=null")
	}
	out, err := exec.CommandContext(t.Context(), chartHelm(t), "template", "sk", chartDir, "--namespace", "rta", "--kube-version", "1.34.4",
		"--set", strings.Join(set, ",")).CombinedOutput()
	return string(out), err
}

// missing are the values of which a refusal says that they are needed.
func missing(refusal string) (paths []string) {
	for _, m := range regexp.MustCompile(`at '/?([^']*)': missing propert(?:y|ies) (.*)`).FindAllStringSubmatch(refusal, -1) {
		for _, name := range regexp.MustCompile(`'([^']+)'`).FindAllStringSubmatch(m[2], -1) {
			paths = append(paths, strings.TrimPrefix(strings.ReplaceAll(m[1], "/", ".")+"."+name[1], "."))
		}
	}
	return paths
}

// A value that is null is as if it were absent, or a sentence says that it is
// needed.
func TestANullIsAsIfItWereAbsentOrIsRefusedInASentence(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"daemon", "cronjob"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			paths := slices.DeleteFunc(slices.Sorted(maps.Keys(chartValues(t))), func(path string) bool { return slices.Contains(keptOnNull(), path) })
			refusal, err := renderNull(t, mode, paths)
			needed := missing(refusal)
			if err == nil || len(needed) == 0 {
				t.Fatalf("nothing is needed? %v\n%.5000s", err, refusal)
			}
			for _, path := range needed {
				if !slices.Contains(paths, path) {
					t.Errorf("%s is needed, and was not null", path)
				}
			}
			rest := slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return slices.Contains(needed, path) })
			if len(rest) < len(paths)/2 {
				t.Errorf("%d of %d values are needed", len(needed), len(paths))
			}
			if out, err := renderNull(t, mode, rest); err != nil || strings.Contains(out, "<nil>") {
				t.Errorf("with the others null: %v\n%.5000s", err, out)
			}
			t.Logf("needed: %s", strings.Join(needed, ", "))
		})
	}
}

// Of a group that is null, too, a sentence says so where it is needed; the rest is
// as if it were absent.
func TestAGroupThatIsNullIsRefusedInASentence(t *testing.T) {
	t.Parallel()
	groups := make(map[string]bool)
	for path := range chartValues(t) {
		for i := range path {
			if path[i] == '.' {
				groups[path[:i]] = true
			}
		}
	}
	// What lies in another group cannot be null beside it.
	for level := range 4 {
		all := slices.DeleteFunc(slices.Sorted(maps.Keys(groups)), func(path string) bool { return strings.Count(path, ".") != level })
		if len(all) == 0 {
			continue
		}
		out, err := exec.CommandContext(t.Context(), chartHelm(t), "template", "sk", chartDir, "--kube-version", "1.34.4",
			"--set", strings.Join(all, "=null,")+"=null").CombinedOutput()
		needed := missing(string(out))
		rest := slices.DeleteFunc(slices.Clone(all), func(path string) bool { return slices.Contains(needed, path) })
		if err == nil || len(needed) == 0 {
			t.Errorf("none of %v is needed? %v\n%.5000s", all, err, out)
		}
		if len(rest) == 0 {
			continue
		}
		if out, err := exec.CommandContext(t.Context(), chartHelm(t), "template", "sk", chartDir, "--kube-version", "1.34.4",
			"--set", strings.Join(rest, "=null,")+"=null").CombinedOutput(); err != nil {
			t.Errorf("with %v null: %v\n%.5000s", rest, err, out)
		}
	}
}
