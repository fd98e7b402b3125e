package metrics

import (
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// Bounds of what scraping may cost.
const (
	maxScrapes    = 4
	scrapeTimeout = 10 * time.Second
)

// Handler serves all series, and those of the process, as OpenMetrics to those who
// ask for it.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{m.ours, withoutClash(ofProcess())}, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

// ofProcess are the series of the Go runtime and of the process. What is left to a
// Pushgateway or to node_exporter has none: that has its own under the same names.
func ofProcess() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// withoutClash leaves out the counter go_memstats_alloc_bytes_total: in
// OpenMetrics its family has the name of the gauge go_memstats_alloc_bytes, and
// a strict parser refuses the whole page.
func withoutClash(g prometheus.Gatherer) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := g.Gather()
		return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "go_memstats_alloc_bytes_total" }), err
	})
}
