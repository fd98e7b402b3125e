package metrics

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestAFileHoldsOurSeriesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "streamkeeper.prom")
	m := busy()
	for range 2 { // the second time it replaces the first
		if err := m.WriteFile(path, Endings{"trim": Good}); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(file)
	if err != nil {
		t.Fatal(err)
	}
	for name := range families {
		if !strings.HasPrefix(name, "streamkeeper_") {
			t.Errorf("the file holds %s", name)
		}
	}
	if families["streamkeeper_job_runs_total"] == nil {
		t.Error("the file does not hold streamkeeper_job_runs_total")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v; want the file alone", entries, err)
	}
}

func TestAFileThatCannotBeWrittenIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "streamkeeper.prom")
	if err := newMetrics(1).WriteFile(path, nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s", err, path)
	}
}
