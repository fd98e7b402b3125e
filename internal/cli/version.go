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
	return fmt.Sprintf("streamkeeper %s (revision %s, %s)", a.Version, a.revision(), runtime.Version())
}

// revision is the commit that was built, as stamped or as Go noted it.
func (a *app) revision() string {
	if a.Revision != "" {
		return a.Revision
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
