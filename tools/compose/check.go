package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// pinned is the end of an image's name that says which version is meant, down
// to the patch.
var pinned = regexp.MustCompile(`:v?\d+\.\d+\.\d+(-[\w.]+)?$|@sha256:[0-9a-f]{64}$`)

// prometheusConfig is where Prometheus's image has its configuration.
const prometheusConfig = "/etc/prometheus/prometheus.yml"

// check returns the faults of a service; ours is whether its image is built
// here.
func check(ctx context.Context, s types.ServiceConfig, ours bool, program string) []error {
	faults := append(checkPorts(s), checkMounts(s)...)
	switch {
	case ours:
		faults = append(faults, checkSettings(ctx, s, program), checkArguments(ctx, s, program))
	case !pinned.MatchString(s.Image):
		faults = append(faults, fmt.Errorf("image %s: want a version down to the patch, or a digest", s.Image))
	}
	if strings.HasPrefix(s.Image, "prom/prometheus:") {
		faults = append(faults, checkPrometheus(ctx, s))
	}
	return slices.DeleteFunc(faults, func(err error) bool { return err == nil })
}

func checkPorts(s types.ServiceConfig) (faults []error) {
	for _, p := range s.Ports {
		if p.HostIP != "127.0.0.1" {
			faults = append(faults, fmt.Errorf("port %s is published on %q: want 127.0.0.1", p.Published, p.HostIP))
		}
	}
	return faults
}

// checkMounts looks for the sources of the bind mounts: Docker would make an
// empty folder of what is not there.
func checkMounts(s types.ServiceConfig) (faults []error) {
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		if _, err := os.Stat(v.Source); errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, fmt.Errorf("there is no %s to be mounted at %s", v.Source, v.Target))
		} else if err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// checkSettings lets the program read the settings as it would at its start.
func checkSettings(ctx context.Context, s types.ServiceConfig, program string) error {
	return try(ctx, environment(s), program, "config")
}

// checkArguments lets the program read its command line; --help at its end
// keeps it from carrying it out.
func checkArguments(ctx context.Context, s types.ServiceConfig, program string) error {
	if len(s.Command) == 0 {
		return nil
	}
	return try(ctx, environment(s), program, append(s.Command, "--help")...)
}

// environment is that of the container and nothing else.
func environment(s types.ServiceConfig) []string {
	all := []string{}
	for name, value := range s.Environment {
		if value != nil {
			all = append(all, name+"="+*value)
		}
	}
	return all
}

// checkPrometheus lays what the service mounts out in a folder, as the container
// would see it, and has promtool check it.
func checkPrometheus(ctx context.Context, s types.ServiceConfig) error {
	root, err := os.MkdirTemp("", "compose")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(root) }()
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		target := filepath.Join(root, v.Target)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		if err := os.Symlink(v.Source, target); err != nil {
			return err
		}
	}
	return try(ctx, os.Environ(), "promtool", "check", "config", filepath.Join(root, prometheusConfig))
}

// try runs a program and returns what it said if it failed.
func try(ctx context.Context, environment []string, program string, args ...string) error {
	var said bytes.Buffer
	c := exec.CommandContext(ctx, program, args...)
	c.Env, c.Stdout, c.Stderr = environment, &said, &said
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", c, err, &said)
	}
	return nil
}
