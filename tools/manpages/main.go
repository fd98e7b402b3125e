// Manpages writes the man pages of streamkeeper, one for each command and one of
// its settings, and its completions of shells:
//
//	streamkeeper config -o json | SOURCE_DATE_EPOCH=… manpages MAN COMPLETIONS
//
// What it reads are the settings with their defaults. The date of the pages is
// SOURCE_DATE_EPOCH.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamkeeper/streamkeeper/internal/cli"
	"github.com/streamkeeper/streamkeeper/internal/settings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("manpages: ")
	if len(os.Args) != 3 {
		log.Fatal("usage: streamkeeper config -o json | manpages MAN COMPLETIONS")
	}
	if err := run(os.Stdin, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(in io.Reader, man, completions string) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is not a time: %w", err)
	}
	var rows []settings.Shown
	if err := json.NewDecoder(in).Decode(&rows); err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	root := cli.Program{Stdout: io.Discard, Stderr: io.Discard}.Command()
	date := time.Unix(seconds, 0).UTC()
	for name, text := range pages(root, rows, date) {
		if err := os.WriteFile(filepath.Join(man, name), []byte(text), 0o644); err != nil { //nolint:gosec // everybody may read them
			return err
		}
	}
	return writeCompletions(root, completions)
}

// pages are the man pages by the names of their files.
func pages(root *cobra.Command, rows []settings.Shown, date time.Time) map[string]string {
	all := map[string]string{"streamkeeper.env.5": settingsPage(rows, date)}
	for _, c := range append(visible(root), root) {
		all[pageName(c)+".1"] = commandPage(c, date)
		for _, child := range visible(c) {
			all[pageName(child)+".1"] = commandPage(child, date)
		}
	}
	return all
}

// visible are the commands below one that its help shows.
func visible(c *cobra.Command) (all []*cobra.Command) {
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() {
			all = append(all, child)
		}
	}
	return all
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// writeCompletions gives each file the name under which its shell looks for it.
func writeCompletions(root *cobra.Command, dir string) error {
	if err := root.GenBashCompletionFileV2(filepath.Join(dir, "streamkeeper.bash"), true); err != nil {
		return err
	}
	if err := root.GenZshCompletionFile(filepath.Join(dir, "_streamkeeper")); err != nil {
		return err
	}
	return root.GenFishCompletionFile(filepath.Join(dir, "streamkeeper.fish"), true)
}
