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
// http://pushgateway:9091. The group is the job streamkeeper, so that each run
// replaces what the one before left, on whatever machine that was; a path such
// as /metrics/job/streamkeeper/instance/eu names another. Each of our jobs has a
// group of its own in it; see [Metrics.Push]. Errors do not repeat the URL, which
// may hold a password.
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
		if name == exportedJob {
			return "", nil, errors.New("the group in the URL cannot have the label " + exportedJob + ": each job has a group of its own by it")
		}
		group = append(group, label{name, value})
	}
	if job = group[0].value; group[0].name != "job" || job == "" {
		return "", nil, errors.New("the group in the URL wants a job, as in /metrics/job/streamkeeper")
	}
	return job, group[1:], nil
}

// exportedJob is what Prometheus, too, calls our label job where it has another.
const exportedJob = "exported_job"

// Push leaves the series at a Pushgateway, within ten seconds: those of each job
// of this process in a group of its own, which has the label exported_job besides,
// and the rest in the gateway's group. A group is replaced as a whole, but by a
// run that broke off, which changes nothing but what it has news of. The label
// job is the Pushgateway's own, so ours is called exported_job there, as
// Prometheus calls it when it scrapes.
func (m *Metrics) Push(ctx context.Context, g Gateway, endings Endings) error {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	client := newPushClient()
	defer client.CloseIdleConnections()
	n := m.news(endings)
	var faults []error
	for job := range endings {
		if job == ownerFigures {
			continue // they are of the process as a whole
		}
		p := g.pusher(client).Grouping(exportedJob, job).Gatherer(m.pushed(n, job))
		faults = append(faults, send(ctx, p, endings[job]))
	}
	whole := g.pusher(client).Gatherer(m.pushed(n, "", ownerFigures))
	faults = append(faults, send(ctx, whole, endings[ownerFigures]))
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("pushing metrics: %w", err)
	}
	return nil
}

// send replaces a group if the run knows all that belongs there, and else only
// the families that it has.
func send(ctx context.Context, p *push.Pusher, ending Ending) error {
	if ending == Good {
		return p.PushContext(ctx)
	}
	return p.AddContext(ctx)
}

// pusher is for the gateway's group.
func (g Gateway) pusher(client push.HTTPDoer) *push.Pusher {
	p := push.New(g.base, g.job).Client(client)
	for _, l := range g.group {
		p.Grouping(l.name, l.value)
	}
	if g.user != nil {
		password, _ := g.user.Password()
		p.BasicAuth(g.user.Username(), password)
	}
	return p
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

// pushed are the series of some owners that are news, without families that
// have none.
func (m *Metrics) pushed(n news, owners ...string) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := m.ours.Gather()
		for _, family := range families {
			family.Metric = slices.DeleteFunc(slices.Clone(family.Metric), func(metric *dto.Metric) bool {
				owner := n.owner(family.GetName(), metric)
				return !slices.Contains(owners, owner) || !n.has(family.GetName(), owner)
			})
			for _, metric := range family.Metric {
				relabelJob(metric, slices.Contains(owners, ""))
			}
		}
		return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool { return len(f.Metric) == 0 }), err
	})
}

// relabelJob renames our label job, or takes it away where the group says it. It
// replaces labels, which are shared with later gatherings, rather than changing
// them.
func relabelJob(metric *dto.Metric, keep bool) {
	i := slices.IndexFunc(metric.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == "job" })
	if i < 0 {
		return
	}
	name, value := exportedJob, metric.Label[i].GetValue()
	metric.Label = slices.Delete(slices.Clone(metric.Label), i, i+1)
	if keep {
		metric.Label = append(metric.Label, &dto.LabelPair{Name: &name, Value: &value})
	}
}
