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
		faults = append(faults, fmt.Sprintf("%s: unknown setting%s", buffer.Escape(name), suggestion(setting, settings)))
	}
	return faults
}

// suggestion says what may be meant by a name that is no setting, "" if nothing is near.
func suggestion(name string, settings []string) string {
	upper := strings.ToUpper(name)
	if flag, ok := flags[strings.ReplaceAll(upper, "_", "")]; ok {
		return "; " + flag
	}
	var meant []string
	if other, ok := others[upper]; ok {
		meant = append(meant, other)
	}
	for _, ending := range []string{"_SCHEDULE", "_INTERVAL"} {
		for _, wrong := range []string{"_INTERVAL", "_SCHEDULE", "_PERIOD", "_CRON"} {
			if job, found := strings.CutSuffix(upper, wrong); found {
				meant = append(meant, job+ending)
			}
		}
	}
	meant = append(meant, human.Nearest(name, settings))
	for _, m := range meant {
		if slices.Contains(settings, m) {
			return "; did you mean " + Prefix + "_" + m + "?"
		}
	}
	return ""
}

// flags are names, without their underscores, of what is a flag and no setting.
var flags = map[string]string{
	"DRYRUN":      "dry run is the flag --dry-run of run and once",
	"FORCE":       "the mass-deletion guard is overridden by the flag --force of once",
	"IGNOREPAUSE": "pauses are ignored by the flag --ignore-pause of once",
}

// others are what settings are called elsewhere.
var others = map[string]string{
	"URL": "REDIS_URL", "HOST": "REDIS_URL", "REDIS_HOST": "REDIS_URL", "REDIS_PORT": "REDIS_URL", "REDIS_ADDR": "REDIS_URL", "REDIS_ADDRESS": "REDIS_URL",
}
