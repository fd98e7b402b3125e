package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/internal/settings"
	"github.com/streamkeeper/streamkeeper/report"
)

func (a *app) configCommand() *cobra.Command {
	var describe bool
	c := &cobra.Command{
		Use:     "config",
		Short:   "Print the effective settings, and where each came from",
		Example: "  STREAMKEEPER_TRIM_MAX_AGE=1d streamkeeper config\n  streamkeeper config -o json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			format, err := a.format()
			if err != nil {
				return err
			}
			options, _, err := a.load()
			if err != nil {
				return err
			}
			if format == report.JSON {
				return writeConfigJSON(a.Stdout, options.Settings)
			}
			if describe {
				return describeConfig(a.Stdout, options.Settings)
			}
			return writeConfigTable(a.Stdout, options.Settings)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().BoolVar(&describe, "describe", false, "say what each setting is for")
	return c
}

// writeConfigTable prints the rows for a person.
func writeConfigTable(w io.Writer, rows []settings.Shown) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "SETTING\tVALUE\tSOURCE\n")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.Setting, r.Value, r.Source)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}

// describeConfig prints the rows, and below each what it is for.
func describeConfig(w io.Writer, rows []settings.Shown) error {
	for _, r := range rows {
		if _, err := fmt.Fprintf(w, "%s=%s (%s)\n    %s\n", r.Setting, r.Value, r.Source, r.Help); err != nil {
			return fmt.Errorf("writing the settings: %w", err)
		}
	}
	return nil
}

// writeConfigJSON prints the rows as an array.
func writeConfigJSON(w io.Writer, rows []settings.Shown) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(rows); err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return nil
}
