package settings

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// kubernetesName matches the variables that Kubernetes injects for a Service
// named streamkeeper or streamkeeper-something.
var kubernetesName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^` + Prefix + `(_.*)?_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_.*)?)$`)
})

// Unknown reports the variables of an environment that have our prefix and are no
// setting. Their values are not shown: a misspelt password is one of them.
func (t Table) Unknown(environ []string) (faults ConfigErrors) {
	settings := t.Names()
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(pair, "=")
		setting, ours := strings.CutPrefix(name, Prefix+"_")
		// What is known comes first: no Service may hide a setting.
		if !ours || slices.Contains(settings, setting) || kubernetesName().MatchString(name) {
			continue
		}
		faults = append(faults, fmt.Sprintf("%s: unknown setting; did you mean %s_%s?",
			buffer.Escape(name), Prefix, nearest(setting, settings)))
	}
	return faults
}

// nearest is the shortest candidate that begins with the name, as PASSWORD does with
// PASS; else the one that takes the fewest edits to reach. The letter case does not
// count.
func nearest(name string, candidates []string) string {
	name = strings.ToLower(name)
	distance := func(candidate string) int {
		candidate = strings.ToLower(candidate)
		edits := human.EditDistance(name, candidate)
		if len(name) >= leastBeginning && strings.HasPrefix(candidate, name) {
			edits -= preferred
		}
		return edits
	}
	return slices.MinFunc(candidates, func(a, b string) int { return distance(a) - distance(b) })
}

const (
	// leastBeginning is how long a name must be to be taken for the beginning of
	// another.
	leastBeginning = 3
	// preferred is more than any distance.
	preferred = 1 << 20
)
