package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/jobs"
)

func (a *app) aclCommand() *cobra.Command {
	var readOnly bool
	c := &cobra.Command{
		Use:   "acl",
		Short: "Print the least Redis ACL rule under which everything enabled works",
		Long: "acl prints the words of the least Redis ACL rule under which everything that is enabled\n" +
			"works: exact commands and exact keys, without a user's name, \"on\" or a password. Remarks\n" +
			"go to stderr. Redis is not asked. For example:\n\n" +
			"  redis-cli ACL SETUSER streamkeeper on '>password' $(streamkeeper acl)",
		Example: "  streamkeeper acl\n  streamkeeper acl --read-only",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			options, _, err := a.load()
			if err != nil {
				return err
			}
			needs := uses(options)
			if readOnly {
				needs = needs.OnlyReading()
			}
			words, remarks := needs.Rule()
			for _, remark := range remarks {
				fmt.Fprintln(a.Stderr, "#", remark)
			}
			_, err = fmt.Fprintln(a.Stdout, strings.Join(words, " "))
			return err
		},
	}
	a.redisFlag(c)
	c.Flags().BoolVar(&readOnly, "read-only", false, "the rule for plan, explain, history, doctor and inspect, which change nothing")
	return c
}

// uses are what the settings need of Redis, the daemon included.
func uses(o Options) buffer.Uses {
	j := o.Jobs
	u := buffer.Uses{
		Serve: true, Lease: o.LeaseTTL > 0, Groups: j.Trim.RespectGroups, Scan: j.Cleanup.Scan,
		Abandon: j.Cleanup.Limits.AbandonAfter > 0, Pressure: j.Trim.Pressure > 0,
		Layouts: o.Buffer.Layouts,
		Names:   o.Buffer.Names,
		History: o.HistoryLength > 0,
		Undo:    j.Cleanup.Undo.For > 0 && j.Cleanup.Undo.MaxBytes > 0,
	}
	jobs.NoteUses(&u, func(job jobs.Job) bool { return job.When(j).Enabled })
	c := o.Buffer.Connection
	u.Sentinels, u.Database, u.Cluster = c.Sentinels(), c.Database() != 0, c.MayBeCluster()
	u.Number = c.Database()
	return u
}
