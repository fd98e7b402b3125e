package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
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
		if err := m.WriteFile(path); err != nil {
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
	if err := newMetrics(1).WriteFile(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s", err, path)
	}
}

func TestAPushgatewayGetsOurSeriesWithoutALabelThatIsItsOwn(t *testing.T) {
	var path, body, user, password string
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		path = r.Method + " " + r.URL.Path
		user, password, _ = r.BasicAuth()
		all, _ := io.ReadAll(r.Body)
		body = string(all)
	}))
	defer gateway.Close()
	m := busy()
	if err := m.Push(t.Context(), strings.Replace(gateway.URL, "://", "://me:secret@", 1)+"/"); err != nil {
		t.Fatal(err)
	}
	if path != "PUT /metrics/job/streamkeeper" || user != "me" || password != "secret" {
		t.Errorf("pushed by %s as %s with %s", path, user, password)
	}
	if !strings.Contains(body, "exported_job") || !strings.Contains(body, "streamkeeper_job_runs_total") {
		t.Error("what was pushed does not hold the jobs")
	}
	wantValue(t, m, `streamkeeper_job_runs_total{job="trim",result="ok"}`, 1)
}

func TestAPushThatFailsSaysSoWithoutThePassword(t *testing.T) {
	gateway := httptest.NewServer(http.NotFoundHandler())
	defer gateway.Close()
	for _, url := range []string{
		strings.Replace(gateway.URL, "://", "://me:secret@", 1),
		"http://me:secret@127.0.0.1:1",
		"ftp://me:secret@example.org",
		"http://me:secret@ example.org",
		"secret",
	} {
		err := newMetrics(1).Push(t.Context(), url)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("error %v, want one without the password", err)
		}
	}
}
