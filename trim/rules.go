package trim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/internal/human"
)

// Rule gives the streams that match a pattern a policy of their own.
type Rule struct {
	Pattern buffer.Pattern
	Policy  Policy
}

// Policies are the policies of all streams: the first rule that matches a
// name, else the default.
type Policies struct {
	Default Policy
	Rules   []Rule
}

// For is the policy of the stream with that name.
func (ps Policies) For(stream string) Policy {
	if i, ok := ps.RuleOf(stream); ok {
		return ps.Rules[i].Policy
	}
	return ps.Default
}

// RuleOf is the index of the rule that counts for a stream, if one does.
func (ps Policies) RuleOf(stream string) (i int, ok bool) {
	i = slices.IndexFunc(ps.Rules, func(r Rule) bool { return r.Pattern.Match(stream) })
	return i, i >= 0
}

// Limited are the policies with other limits, as far as they are given. What keeps
// all by a rule of its own still does. The error names what makes no sense then.
func (ps Policies) Limited(l Limits) (Policies, error) {
	limited := Policies{Default: l.of(ps.Default), Rules: slices.Clone(ps.Rules)}
	faults := []error{limited.Default.Validate(true)}
	for i := range limited.Rules {
		r := &limited.Rules[i]
		if r.Policy.KeepsAll() {
			continue
		}
		r.Policy = l.of(r.Policy)
		if err := r.Policy.Validate(true); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", r.Pattern, err))
		}
	}
	return limited, errors.Join(faults...)
}

// Limits replace those of policies; nil does not.
type Limits struct {
	MaxLength, MaxBytes *int64
	MaxAge              *time.Duration
}

func (l Limits) of(p Policy) Policy {
	if l.MaxLength != nil {
		p.MaxLength = *l.MaxLength
	}
	if l.MaxBytes != nil {
		p.MaxBytes = *l.MaxBytes
	}
	if l.MaxAge != nil {
		p.MaxAge = *l.MaxAge
	}
	return p
}

// Reduced is the policy of a stream that is to keep less, no more than MaxLength of
// it: never an entry less than is younger than the least age of all.
func (ps Policies) Reduced(stream string, keep int64) Policy {
	p := ps.For(stream)
	p.MaxLength = keep
	p.MinAge = max(p.MinAge, ps.Default.MinAge)
	return p
}

// Sentences says what is kept where, one sentence a rule, the default last.
func (ps Policies) Sentences() []string {
	var all []string
	for _, r := range ps.Rules {
		all = append(all, fmt.Sprintf("%s: %s", r.Pattern, r.Policy))
	}
	if len(all) == 0 {
		return []string{"all streams: " + ps.Default.String()}
	}
	return append(all, "all others: "+ps.Default.String())
}

// ParseRules reads "pattern: key=value, …; pattern: …"; a pattern is a Redis
// glob or a quoted Go string. What a rule does not name comes from base. The
// error has every fault; a rule that an earlier one shadows completely is one.
func ParseRules(text string, base Policy) ([]Rule, error) {
	var rules []Rule
	var faults []error
	for _, part := range buffer.SplitUnquoted(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		r, err := parseRule(part, base)
		if earlier := shadowing(rules, r); err == nil && earlier != nil {
			err = fmt.Errorf("never counts, as the earlier rule for %s takes in all of %s: put it first", earlier, r.Pattern)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%q: %w", strings.TrimSpace(part), err))
		}
		if r.Pattern != (buffer.Pattern{}) {
			rules = append(rules, r)
		}
	}
	return rules, errors.Join(faults...)
}

// RulesOfFile is what [ParseRules] reads, of a file with a rule a line. A comment
// begins with # at the start of a line or after white space, outside quotes.
func RulesOfFile(text string) string {
	var rules []string
	for line := range strings.Lines(text) {
		rules = append(rules, strings.TrimSpace(withoutComment(line)))
	}
	return strings.Join(rules, ";")
}

func withoutComment(line string) string {
	parts := buffer.SplitUnquoted(line, "#")
	kept := parts[0]
	for _, part := range parts[1:] {
		if kept == "" || strings.TrimRightFunc(kept, unicode.IsSpace) != kept {
			return kept
		}
		kept += "#" + part
	}
	return kept
}

// shadowing is the pattern of an earlier rule that takes in all names of r, nil
// if there is none.
func shadowing(earlier []Rule, r Rule) *buffer.Pattern {
	for i := range earlier {
		if earlier[i].Pattern.Covers(r.Pattern) {
			return &earlier[i].Pattern
		}
	}
	return nil
}

func parseRule(text string, base Policy) (Rule, error) {
	r := Rule{Policy: base}
	// The settings hold no colon, so a pattern may.
	pieces := buffer.SplitUnquoted(text, ":")
	if len(pieces) < 2 {
		return r, errors.New("want <pattern>: <key>=<value>, …")
	}
	last := pieces[len(pieces)-1]
	for _, piece := range pieces[1 : len(pieces)-1] {
		if key, _, found := strings.Cut(piece, "="); found && isKey(strings.TrimSpace(key)) {
			return r, fmt.Errorf("%q stands before a colon: want commas between settings", strings.TrimSpace(piece))
		}
	}
	pattern := strings.TrimSpace(strings.TrimSuffix(text, ":"+last))
	var err error
	if r.Pattern, err = buffer.ParsePattern(pattern); err != nil {
		return r, err
	}
	// own is what the rule names itself.
	var own Policy
	var named []string
	for setting := range strings.SplitSeq(last, ",") {
		if strings.TrimSpace(setting) == "" {
			continue
		}
		key, value, _ := strings.Cut(setting, "=")
		for _, p := range []*Policy{&own, &r.Policy} {
			if err := p.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
				return r, err
			}
		}
		named = append(named, strings.TrimSpace(setting))
	}
	if len(named) == 0 {
		return r, errors.New("names no limit: want " + keyNames())
	}
	if own.KeepAll && (own.MaxLength > 0 || own.MaxAge > 0 || own.MaxBytes > 0) {
		limits := slices.DeleteFunc(named, func(setting string) bool { return !strings.HasPrefix(setting, "max_") })
		return r, fmt.Errorf("keep=all beside %s: an entry cannot have to stay and have to go", strings.Join(limits, ", "))
	}
	return r, nil
}

// key is a key of a rule: how it is written, and how its value is read.
type key struct {
	name, shown string
	set         func(p *Policy, value string) error
}

// keys are all there are, in the order in which messages list them.
func keys() []key {
	return []key{
		{"max_length", "max_length", setMaxLength},
		{"max_age", "max_age", func(p *Policy, value string) error { return setAge(&p.MaxAge, "max_age", value) }},
		{"max_bytes", "max_bytes", setMaxBytes},
		{"min_age", "min_age", func(p *Policy, value string) error { return setAge(&p.MinAge, "min_age", value) }},
		{"exact", "exact", setExact},
		{"keep", "keep=all", setKeep},
	}
}

// KeyNames are the keys that a rule may have, in the order in which messages list
// them.
func KeyNames() []string {
	var names []string
	for _, k := range keys() {
		names = append(names, k.name)
	}
	return names
}

// keyNames lists the keys for a message: "max_length, …, exact or keep=all".
func keyNames() string {
	var names []string
	for _, k := range keys() {
		names = append(names, k.shown)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func isKey(text string) bool {
	return slices.ContainsFunc(keys(), func(k key) bool { return k.name == text })
}

func (p *Policy) set(name, value string) error {
	for _, k := range keys() {
		if k.name == name {
			return k.set(p, value)
		}
	}
	return fmt.Errorf("unknown key %q: want %s", name, keyNames())
}

func setMaxLength(p *Policy, value string) (err error) {
	if p.MaxLength, err = strconv.ParseInt(value, 10, 64); err != nil || p.MaxLength < 0 {
		return fmt.Errorf("max_length=%s: want a whole number of entries, 0 for no limit", value)
	}
	return nil
}

func setMaxBytes(p *Policy, value string) (err error) {
	if p.MaxBytes, err = human.ParseSize(value); err != nil {
		return fmt.Errorf("max_bytes=%s: want a size such as 512MiB, 0 for no limit", value)
	}
	return nil
}

func setAge(into *time.Duration, name, value string) (err error) {
	if *into, err = human.ParseDuration(value); err != nil || *into < 0 {
		return fmt.Errorf("%s=%s: want a duration such as 10m, 0 for none", name, value)
	}
	return nil
}

func setExact(p *Policy, value string) (err error) {
	if p.Exact, err = strconv.ParseBool(value); err != nil {
		return fmt.Errorf("exact=%s: want true or false", value)
	}
	return nil
}

func setKeep(p *Policy, value string) error {
	if value != "all" {
		return fmt.Errorf("keep=%s: want keep=all", value)
	}
	p.KeepAll = true
	return nil
}

// DefaultMaxLength is what the Stream Service's own trimmer keeps.
const DefaultMaxLength = 10_000

// The smallest limits that are taken for a wish rather than a slip, unless
// tiny ones are allowed.
const (
	MinMaxLength = 10
	MinMaxAge    = time.Minute
	MinMaxBytes  = 1 << 20
)

// Validate reports what makes no sense in a policy; tiny allows limits so
// small that they are more likely a typing error.
func (p Policy) Validate(tiny bool) error {
	var faults []error
	if !tiny && p.MaxLength > 0 && p.MaxLength < MinMaxLength {
		faults = append(faults, fmt.Errorf("max_length=%d keeps next to nothing: want 0 for no limit, at least %d, or TRIM_ALLOW_TINY=true", p.MaxLength, MinMaxLength))
	}
	if !tiny && p.MaxAge > 0 && p.MaxAge < MinMaxAge {
		faults = append(faults, fmt.Errorf("max_age=%s keeps next to nothing: want 0 for no limit, at least %s, or TRIM_ALLOW_TINY=true", p.MaxAge, MinMaxAge))
	}
	if !tiny && p.MaxBytes > 0 && p.MaxBytes < MinMaxBytes {
		faults = append(faults, fmt.Errorf("max_bytes=%d keeps next to nothing: want 0 for no limit, at least %s, or TRIM_ALLOW_TINY=true",
			p.MaxBytes, human.FormatSize(MinMaxBytes)))
	}
	if p.MaxAge > 0 && p.MinAge > p.MaxAge {
		faults = append(faults, fmt.Errorf("min_age=%s is more than max_age=%s: an entry cannot have to stay and have to go", p.MinAge, p.MaxAge))
	}
	return errors.Join(faults...)
}
