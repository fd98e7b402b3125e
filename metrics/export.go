package metrics

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of what scraping may cost.
const (
	maxScrapes    = 4
	scrapeTimeout = 10 * time.Second
)

// Handler serves all series, as OpenMetrics to those who ask for it.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{m.ours, m.process}, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

// WriteFile leaves the series in a file for node_exporter's textfile collector,
// whose name must end in .prom. The file is replaced at once, never seen half
// written. The series of the Go runtime are left out: node_exporter has its own
// under the same names.
func (m *Metrics) WriteFile(path string) error {
	if err := prometheus.WriteToTextfile(path, m.ours); err != nil {
		return fmt.Errorf("writing metrics to %s: %w", path, err)
	}
	return nil
}
