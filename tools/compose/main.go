// Command compose checks a compose file as far as that goes without its images:
//
//	compose FILE PROGRAM
//
// The library of Docker Compose itself must take it; images are pinned, ports
// are published on loopback, and what is mounted is there; PROGRAM, which is
// what the image built here runs, takes their settings and arguments; and
// promtool takes the configuration that Prometheus finds among its mounts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: compose FILE PROGRAM")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run loads the file and returns all faults of all services.
func run(ctx context.Context, file, program string) error {
	project, err := load(ctx, file)
	if err != nil {
		return err
	}
	built := make(map[string]bool)
	for _, s := range project.Services {
		built[s.Image] = built[s.Image] || s.Build != nil
	}
	var faults []error
	for _, name := range project.ServiceNames() {
		s := project.Services[name]
		for _, err := range check(ctx, s, built[s.Image], program) {
			faults = append(faults, fmt.Errorf("service %s: %w", name, err))
		}
	}
	return errors.Join(faults...)
}

func load(ctx context.Context, file string) (*types.Project, error) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithResolvedPaths(true), cli.WithNormalization(true))
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return project, nil
}
