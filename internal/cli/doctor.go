package cli

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/doctor"
	"github.com/streamkeeper/streamkeeper/report"
)

// errFindings only sets the exit code.
var errFindings = errors.New("the doctor found errors")

func (a *app) doctorCommand() *cobra.Command {
	var session string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check Redis, the buffer against the RTA protocol, and our own set-up",
		Long: "doctor checks the connection, Redis's configuration, the buffer against the rules of the RTA\n" +
			"documentation, what the settings keep, and our own keys. It only reads, and looks at no more\n" +
			"than a sample of payloads. With --session it checks one session from its first message to its\n" +
			"last, for the tests of a producer. Exits with 4 if there is an error.\n\n" +
			"Settings: docs/settings.md. Each check: docs/inspector.md.",
		Example: "  streamkeeper doctor\n  streamkeeper doctor -o json\n  streamkeeper doctor --session 'car 7: Practice 1'",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			identity, err := buffer.Unescape(session)
			if err != nil {
				return usageError{err}
			}
			return a.doctor(c.Context(), c.Flags().Changed("session"), identity)
		},
	}
	a.outputFlag(c)
	a.redisFlag(c)
	c.Flags().StringVar(&session, "session", "", "check the session with this identity from its first message to its last")
	return c
}

// tidyPercent lets the heap grow to twice what is alive, not to five times.
const tidyPercent = 100

// doctorOptions are what the settings say to the doctor.
func doctorOptions(o Options) doctor.Options {
	return doctor.Options{
		Connection: o.Buffer.Connection, Uses: uses(o), Policies: o.Jobs.Trim.Policies,
		RespectGroups: o.Jobs.Trim.RespectGroups, GroupIdleAfter: o.Jobs.Trim.GroupIdleAfter,
		Limits: o.Jobs.Cleanup.Limits, Inspect: o.Jobs.Inspect.Options, Leases: o.LeaseTTL > 0, HistoryLength: o.HistoryLength,
	}
}

func (a *app) doctor(ctx context.Context, one bool, session string) error {
	return a.withBuffer(ctx, true, func(at opened) error {
		// It remembers something of each stream and session for as long as it runs.
		debug.SetGCPercent(tidyPercent)
		options := doctorOptions(at.config)
		progress := report.NewProgress(a.Stderr, isTerminal(a.Stderr))
		options.OnProgress = progress.Show
		d := doctor.New(at.b, options)
		examine := d.Examine
		if one {
			examine = func(ctx context.Context) (doctor.Report, error) { return d.ExamineSession(ctx, session) }
		}
		found, err := examine(ctx)
		progress.Done()
		if err != nil {
			return err
		}
		out := report.NewDiagnosis(a.Version, redisReport(at.b), found)
		if one {
			out.Session = buffer.Escape(session)
		}
		if err := report.WriteDiagnosis(a.Stdout, at.format, out); err != nil {
			return err
		}
		if found.Count(doctor.Error) > 0 {
			return errFindings
		}
		return nil
	})
}
