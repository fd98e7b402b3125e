package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/buffer"
)

func (a *app) aclCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "acl",
		Short: "Print the least Redis ACL rule under which everything enabled works",
		Long: "acl prints the words of the least Redis ACL rule under which everything that is enabled\n" +
			"works: exact commands and exact keys, without a user's name, \"on\" or a password. Remarks\n" +
			"go to stderr. Redis is not asked. For example:\n\n" +
			"  redis-cli ACL SETUSER streamkeeper on '>password' $(streamkeeper acl)",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			config, _, err := a.load()
			if err != nil {
				return err
			}
			words, remarks := config.uses().Rule()
			for _, remark := range remarks {
				fmt.Fprintln(a.stderr, "#", remark)
			}
			_, err = fmt.Fprintln(a.stdout, strings.Join(words, " "))
			return err
		},
	}
	a.redisFlag(c)
	return c
}

// uses are what the settings need of Redis, the daemon included.
func (c *Config) uses() buffer.Uses {
	jobs := c.enabledJobs()
	u := buffer.Uses{
		Trim: slices.Contains(jobs, jobTrim), Cleanup: slices.Contains(jobs, jobCleanup), Inspect: slices.Contains(jobs, jobInspect),
		Serve: true, Lease: c.Lease.Enabled.Value, Groups: c.Trim.RespectGroups.Value, Scan: c.Cleanup.Scan.Value,
		Abandon: c.Cleanup.AbandonAfter.Value > 0, Pressure: c.Trim.Pressure.Value > 0,
		Layouts: c.layouts(),
		Names: buffer.Names{
			Streams: c.StreamsKey.Value, StreamPrefix: c.StreamPrefix.Value, Sessions: c.SessionsKey.Value, StatePrefix: c.StatePrefix.Value,
		},
	}
	if target, err := url.Parse(c.Redis.URL.Value); err == nil {
		query := target.Query()
		u.Sentinels = query.Get("master_name") != ""
		database := query.Get("db")
		if target.Scheme != "unix" && database == "" {
			database = strings.Trim(target.Path, "/")
		}
		u.Database = database != "" && database != "0"
		u.Cluster = !u.Sentinels && !u.Database && target.Scheme != "unix"
	}
	return u
}
