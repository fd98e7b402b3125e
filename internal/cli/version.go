package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, revision and Go version",
		Example: "  streamkeeper version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.Stdout, a.versionText())
			return err
		},
	}
}

func (a *app) versionText() string {
	return fmt.Sprintf("streamkeeper %s (revision %s, %s)", a.Version, a.Revision, runtime.Version())
}

// Unversioned is the version where neither the build nor Go knows one.
const Unversioned = "dev"

// identity is which version and revision this is: as the build stamped them, else
// as Go noted them, which does so for `go install` and in a git repository.
func identity(version, revision string, info *debug.BuildInfo) (string, string) {
	if info == nil {
		info = new(debug.BuildInfo)
	}
	if v := info.Main.Version; version == "" && v != "(devel)" {
		version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && revision == "" {
			revision = s.Value
		}
	}
	if version == "" {
		version = Unversioned
	}
	if revision == "" {
		revision = "unknown"
	}
	return version, revision
}
