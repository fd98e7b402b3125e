// Package jobs lists what streamkeeper does again and again, and how each is
// done once.
package jobs

import (
	"time"

	"github.com/streamkeeper/streamkeeper/cleanup"
	"github.com/streamkeeper/streamkeeper/inspect"
	"github.com/streamkeeper/streamkeeper/trim"
)

// The jobs, as they are called on the command line, in metrics and in logs.
const (
	Trim    = "trim"
	Cleanup = "cleanup"
	Inspect = "inspect"
	Metrics = "metrics"
)

// When the jobs run unless somebody says otherwise.
const (
	// DefaultTrimSchedule is how often the Stream Service's own trimmer runs.
	DefaultTrimSchedule = "@every 30s"
	// DefaultCleanupSchedule is rare, because a run may walk the whole keyspace.
	DefaultCleanupSchedule = "@every 5m"
	// DefaultInspectSchedule shows a bad producer within minutes.
	DefaultInspectSchedule = "@every 5m"
	// DefaultMetricsInterval matches the usual interval of scraping.
	DefaultMetricsInterval = 30 * time.Second
)

// Options are what the configuration says of the jobs.
type Options struct {
	Trim    TrimOptions
	Cleanup CleanupOptions
	Inspect InspectOptions
	Metrics MetricsOptions
}

// When says whether a job runs, and when.
type When struct {
	Enabled bool
	// Schedule is what [schedule.ParseSchedule] reads.
	Schedule string
}

// TrimOptions are those of the job that trims.
type TrimOptions struct {
	When
	trim.Options
}

// CleanupOptions are those of the job that cleans up.
type CleanupOptions struct {
	When
	cleanup.Options
}

// InspectOptions are those of the job that inspects.
type InspectOptions struct {
	When
	inspect.Options
}

// MetricsOptions are those of the job that reads the streams' figures.
type MetricsOptions struct {
	When
	// MaxStreams bounds the streams that get a label of their own.
	MaxStreams int
}
