package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/streamkeeper/streamkeeper/internal/settings"
)

// page is a man page in the making.
type page struct{ strings.Builder }

func newPage(title, section string, date time.Time) *page {
	p := new(page)
	p.line(".TH %s %s %s %[4]s %[4]s", quoted(strings.ToUpper(title)), section, quoted(date.Format(time.DateOnly)), "streamkeeper")
	return p
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) section(title string) { p.line(".SH %s", quoted(title)) }

// paragraphs writes plain text. Lines are joined; an empty one ends a paragraph.
func (p *page) paragraphs(text string) {
	for i, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			p.line(".PP")
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			p.line("%s", plain(line))
		}
	}
}

// asTyped writes lines as they are.
func (p *page) asTyped(text string) {
	p.line(".nf\n.RS 4")
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		p.line("%s", plain(strings.TrimPrefix(line, "  ")))
	}
	p.line(".RE\n.fi")
}

// item writes a term and what it means.
func (p *page) item(term, meaning string) {
	p.line(".TP\n\\fB%s\\fR", plain(term))
	p.paragraphs(meaning)
}

// plain writes a line of text so that nothing in it is a command of roff.
func plain(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "'", `\(aq`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`).Replace(strings.TrimSpace(line))
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}

func quoted(text string) string { return `"` + strings.ReplaceAll(plain(text), `"`, `\(dq`) + `"` }

// exitCodes are those of every command.
var exitCodes = [][2]string{
	{"0", "done, nothing wrong"},
	{"1", "a job failed: Redis was not reached, or some items failed; or nobody knows the name that was given"},
	{"2", "wrong usage or configuration; every fault is named"},
	{"3", "the mass-deletion guard stopped a run"},
	{"4", "inspect found invalid messages, or doctor errors"},
	{"5", "plan --detailed-exitcode found something to do"},
}

func commandPage(c *cobra.Command, date time.Time) string {
	c.InitDefaultHelpFlag()
	p := newPage(pageName(c), "1", date)
	p.section("NAME")
	p.line("%s \\- %s", plain(pageName(c)), plain(strings.ToLower(c.Short[:1])+c.Short[1:]))
	p.section("SYNOPSIS")
	p.line("\\fB%s\\fR", plain(c.UseLine()))
	p.section("DESCRIPTION")
	if description := c.Long; description != "" {
		p.paragraphs(description)
	} else {
		p.paragraphs(c.Short + ".")
	}
	if children := visible(c); len(children) > 0 {
		p.section("COMMANDS")
		for _, child := range children {
			p.item(child.Name(), child.Short+".")
		}
	}
	p.flags(c.NonInheritedFlags())
	if c.Example != "" {
		p.section("EXAMPLES")
		p.asTyped(c.Example)
	}
	p.section("ENVIRONMENT")
	p.paragraphs("STREAMKEEPER_REDIS_URL says where Redis is. All settings are in streamkeeper.env(5).")
	p.section("EXIT STATUS")
	for _, code := range exitCodes {
		p.item(code[0], code[1])
	}
	p.seeAlso(c)
	return p.String()
}

// flags writes the options of a command.
func (p *page) flags(flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.section("OPTIONS")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		kind, usage := pflag.UnquoteUsage(f)
		if kind != "" {
			term += " " + kind
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
			usage += " (default " + f.DefValue + ")"
		}
		p.item(term, usage)
	})
}

// seeAlso names the pages of what is above, beside and below a command.
func (p *page) seeAlso(c *cobra.Command) {
	names := []string{"streamkeeper.env(5)"}
	if c.HasParent() {
		names = append(names, pageName(c.Parent())+"(1)")
	}
	for _, child := range visible(c) {
		names = append(names, pageName(child)+"(1)")
	}
	slices.Sort(names)
	p.section("SEE ALSO")
	p.line("%s", plain(strings.Join(names, ", ")))
	p.line(".PP\n%s", plain("https://github.com/streamkeeper/streamkeeper"))
}

func settingsPage(rows []settings.Shown, date time.Time) string {
	p := newPage("streamkeeper.env", "5", date)
	p.section("NAME")
	p.line("streamkeeper.env \\- %s", "settings of streamkeeper")
	p.section("DESCRIPTION")
	p.paragraphs("Settings are environment variables. The service reads them from /etc/streamkeeper/streamkeeper.env, one NAME=VALUE a line, where packages put it.\n\n" +
		"An empty value means the default. A wrong value, and a variable with the prefix STREAMKEEPER_ that is no setting, stops every command with exit status 2. " +
		"Durations are written 90s, 10m, 1h30m or 7d, sizes 64MiB or plain bytes.")
	p.section("SETTINGS")
	for _, row := range rows {
		meaning := row.Help
		if row.Value != "" {
			meaning += "\nDefault: " + row.Value
		}
		p.item(settings.Prefix+"_"+row.Setting, meaning)
	}
	p.section("SEE ALSO")
	p.line("%s", plain("streamkeeper(1), streamkeeper-config(1), systemd.exec(5)"))
	return p.String()
}
