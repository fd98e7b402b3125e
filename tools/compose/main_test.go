package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// good is a compose file that has nothing wrong.
const good = `
services:
  redis:
    image: redis:7.4.2-alpine
  streamkeeper:
    build: .
    image: streamkeeper
    environment: {SETTING: good}
    command: [run, --flag]
    ports: ["127.0.0.1:8080:8080"]
  other:
    image: streamkeeper
    environment: {SETTING: good}
  prometheus:
    image: prom/prometheus:v3.5.0
    volumes: ["./prometheus.yaml:/etc/prometheus/prometheus.yml:ro", "data:/data"]
volumes:
  data:
`

// program takes the setting and the flag of the good file, and no other.
const program = `#!/bin/sh
case "$1 $SETTING" in
"config good") ;;
config*) echo "SETTING: unknown value $SETTING"; exit 2 ;;
*) [ "$*" = "run --flag --help" ] || { echo "unknown flag in $*"; exit 2; } ;;
esac
`

// write puts a file for the test into a folder and returns its path.
func write(t *testing.T, folder, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAFaultIsNamed(t *testing.T) {
	for name, tt := range map[string]struct{ old, bad, fault string }{
		"a good file has none":                {"", "", ""},
		"a word that the specification lacks": {"image: redis", "imag: redis", "services.redis"},
		"an image without a version":          {"redis:7.4.2-alpine", "redis", "service redis: image redis:"},
		"an image whose version moves":        {"redis:7.4.2-alpine", "redis:7", "service redis: image redis:7:"},
		"a port that the network sees":        {"127.0.0.1:8080", "8080", `port 8080 is published on ""`},
		"a mount of what is not there":        {"./prometheus.yaml", "./missing.yaml", "missing.yaml to be mounted"},
		"a setting that is refused":           {"SETTING: good", "SETTING: bad", "SETTING: unknown value bad"},
		"the image of another, not built":     {"build: .", "", "service other: image streamkeeper: want a version"},
		"an argument that is refused":         {"--flag", "--flog", "unknown flag in run --flog --help"},
		"a configuration that is refused":     {"./prometheus.yaml", "./bad.yaml", "field nonsense not found"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			write(t, folder, "prometheus.yaml", "global: {scrape_interval: 5s}\n", 0o600)
			write(t, folder, "bad.yaml", "nonsense: true\n", 0o600)
			file := write(t, folder, "compose.yaml", strings.Replace(good, tt.old, tt.bad, 1), 0o600)
			err := run(t.Context(), file, write(t, folder, "program", program, 0o700))
			switch {
			case tt.fault == "" && err != nil:
				t.Errorf("it has a fault: %v", err)
			case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("it says %v, want %s", err, tt.fault)
			}
		})
	}
}
