package metrics

import "github.com/prometheus/client_golang/prometheus"

// findingSeries are what the doctor finds at a glance.
type findingSeries struct {
	vec                *prometheus.GaugeVec
	checks, severities []string
}

func newFindingSeries(f factory, checks, severities []string) findingSeries {
	s := findingSeries{checks: checks, severities: severities}
	s.vec = f.auto.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: f.noted("doctor_findings"), Help: "What a glance after the last clean-up found, by check; 0 on a follower.",
	}, []string{"check", "severity"})
	s.forget()
	return s
}

// forget sets to nothing what only a leader knows.
func (s findingSeries) forget() {
	for _, check := range s.checks {
		for _, severity := range s.severities {
			s.vec.WithLabelValues(check, severity).Set(0)
		}
	}
}

// Finding notes how many things a check of the doctor finds with a severity.
func (m *Metrics) Finding(check, severity string, n int64) {
	m.whileLeading(func() { m.findings.vec.WithLabelValues(check, severity).Set(float64(n)) })
}
