package redistest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

func TestEachVersionRunsTheProgramThatItsNameSays(t *testing.T) {
	// A script that claims to be another version, and the same program twice.
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] && exec echo 'Valkey server v=99.1.2 sha=0'\nexec %s \"$@\" --maxclients 77\n", path)
	if err := os.WriteFile(other, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(redistest.Servers, path+string(filepath.ListSeparator)+other)

	clients := make(map[string]string)
	redistest.EachVersion(t, func(t *testing.T, start redistest.StartFunc) {
		server := start(t, "--maxmemory", "4mb")
		limits, err := server.Client.ConfigGet(t.Context(), "max*").Result()
		if err != nil {
			t.Fatal(err)
		}
		if limits["maxmemory"] != "4194304" {
			t.Errorf("maxmemory is %s: the arguments were not passed on", limits["maxmemory"])
		}
		clients[filepath.Base(t.Name())] = limits["maxclients"]
	})
	if len(clients) != 2 || clients["valkey-99.1.2"] != "77" {
		t.Errorf("the versions ran with these maxclients: %v", clients)
	}
}
