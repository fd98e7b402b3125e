package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"
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

// Push replaces what a Pushgateway holds of the job streamkeeper. The label job
// is the Pushgateway's own, so ours is called exported_job there, as Prometheus
// calls it when it scrapes.
func (m *Metrics) Push(ctx context.Context, gateway string) error {
	target, err := url.Parse(gateway)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return errors.New("pushing metrics: want a URL such as http://pushgateway:9091")
	}
	// The pusher's errors hold its URL, and must not hold a password.
	user := target.User
	target.User = nil
	p := push.New(strings.TrimSuffix(target.String(), "/"), namespace).
		Gatherer(prometheus.GathererFunc(m.gatherForPush)).Client(http.DefaultClient)
	if user != nil {
		password, _ := user.Password()
		p.BasicAuth(user.Username(), password)
	}
	if err := p.PushContext(ctx); err != nil {
		return fmt.Errorf("pushing metrics: %w", err)
	}
	return nil
}

func (m *Metrics) gatherForPush() ([]*dto.MetricFamily, error) {
	families, err := m.ours.Gather()
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			renameJob(metric)
		}
	}
	return families, err
}

// renameJob replaces labels, which are shared with later gatherings, rather than
// changing them.
func renameJob(metric *dto.Metric) {
	i := slices.IndexFunc(metric.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == "job" })
	if i < 0 {
		return
	}
	name, value := "exported_job", metric.Label[i].GetValue()
	metric.Label = slices.Clone(metric.Label)
	metric.Label[i] = &dto.LabelPair{Name: &name, Value: &value}
}
