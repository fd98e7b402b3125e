package metrics

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"
)

const (
	pushTimeout = 10 * time.Second
	// maxPushAnswer is how much of a refusal is read, and so shown.
	maxPushAnswer = 1 << 10
)

// Gateway is where metrics are pushed to, and the labels of the group under
// which the Pushgateway keeps them.
type Gateway struct {
	// base has no password, as it appears in errors.
	base  string
	user  *url.Userinfo
	job   string
	group []label
}

type label struct{ name, value string }

// ParseGateway reads the URL of a Pushgateway, such as
// http://pushgateway:9091. The group is the job streamkeeper alone, so that
// each run replaces what the one before left, on whatever machine that was; a
// path such as /metrics/job/streamkeeper/instance/eu names another. Errors do
// not repeat the URL, which may hold a password.
func ParseGateway(text string) (Gateway, error) {
	target, err := url.Parse(text)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" ||
		target.RawQuery != "" || target.Fragment != "" {
		return Gateway{}, errors.New("want the URL of a Pushgateway, such as http://pushgateway:9091")
	}
	g := Gateway{user: target.User, job: namespace}
	target.User = nil
	base, group, grouped := strings.Cut(strings.TrimSuffix(target.String(), "/"), "/metrics/job")
	g.base = base
	if grouped {
		if g.job, g.group, err = parseGroup("job" + group); err != nil {
			return Gateway{}, err
		}
	}
	return g, nil
}

// parseGroup reads "job/<job>/<label>/<value>…" as a Pushgateway does: a label
// that ends in @base64 has its value so.
func parseGroup(path string) (job string, group []label, err error) {
	parts := strings.Split(path, "/")
	if len(parts)%2 != 0 {
		return "", nil, errors.New("the group in the URL wants names and values in turn, such as /metrics/job/streamkeeper/instance/eu")
	}
	for pair := range slices.Chunk(parts, 2) {
		name, encoded := strings.CutSuffix(pair[0], "@base64")
		value, err := url.PathUnescape(pair[1])
		if encoded {
			var raw []byte
			raw, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(pair[1], "="))
			value = string(raw)
		}
		if err != nil {
			return "", nil, fmt.Errorf("the value of %s in the URL's group is not encoded as it should be", name)
		}
		group = append(group, label{name, value})
	}
	if job = group[0].value; group[0].name != "job" || job == "" {
		return "", nil, errors.New("the group in the URL wants a job, as in /metrics/job/streamkeeper")
	}
	return job, group[1:], nil
}

// Push replaces what a Pushgateway holds of the gateway's group, within ten
// seconds. The label job is the Pushgateway's own, so ours is called
// exported_job there, as Prometheus calls it when it scrapes.
func (m *Metrics) Push(ctx context.Context, g Gateway) error {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	client := newPushClient()
	defer client.CloseIdleConnections()
	p := push.New(g.base, g.job).Gatherer(prometheus.GathererFunc(m.gatherForPush)).Client(client)
	for _, l := range g.group {
		p.Grouping(l.name, l.value)
	}
	if g.user != nil {
		password, _ := g.user.Password()
		p.BasicAuth(g.user.Username(), password)
	}
	if err := p.PushContext(ctx); err != nil {
		return fmt.Errorf("pushing metrics: %w", err)
	}
	return nil
}

// pushClient shows as much of an answer as a person would read.
type pushClient struct{ http.Client }

// newPushClient follows no redirect: it would turn the push into a GET, whose
// success means nothing.
func newPushClient() *pushClient {
	transport := http.DefaultTransport
	if t, ok := transport.(*http.Transport); ok {
		transport = t.Clone()
	}
	return &pushClient{http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do implements [push.HTTPDoer].
func (c *pushClient) Do(r *http.Request) (*http.Response, error) {
	answer, err := c.Client.Do(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, maxPushAnswer), answer.Body}
	return answer, nil
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
