// Package doctest holds the documents, the chart and the dashboards to what the
// program does.
package doctest

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/program"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

// TestMain reads files by their paths from the root, as pages name them.
func TestMain(m *testing.M) {
	root, err := program.Root()
	if err == nil {
		err = os.Chdir(root)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program.Main(m)
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// defaults are the settings where nothing is set.
func defaults(t *testing.T) []settings.Shown {
	t.Helper()
	return effective(t)
}

// effective are the settings in an environment of nothing but the variables
// given.
func effective(t *testing.T, environment ...string) []settings.Shown {
	t.Helper()
	cmd := program.Env{}.Command(t, "config", "-o", "json")
	cmd.Env = append(cmd.Env, environment...)
	code, out, errs := program.RunCommand(t, cmd)
	if code != 0 {
		t.Errorf("refused:\n%s", errs)
		return nil
	}
	var rows []settings.Shown
	mustDo(t, json.Unmarshal([]byte(out), &rows))
	return rows
}

// valueOf is the row of a setting.
func valueOf(t *testing.T, rows []settings.Shown, setting string) settings.Shown {
	t.Helper()
	for _, row := range rows {
		if row.Setting == setting {
			return row
		}
	}
	t.Errorf("there is no setting %s", setting)
	return settings.Shown{}
}
