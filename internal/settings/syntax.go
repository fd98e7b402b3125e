package settings

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/human"
	"github.com/streamkeeper/streamkeeper/schedule"
)

// The types of settings.
type (
	// Text is any text.
	Text = Setting[string, textSyntax]
	// Secret is any text, and is never shown.
	Secret = Setting[string, secretSyntax]
	// File is the path of a file that can be read.
	File = Setting[string, fileSyntax]
	// PromFile is the path of a file that is written for node_exporter's textfile
	// collector.
	PromFile = Setting[string, promFileSyntax]
	// Bool is a switch.
	Bool = Setting[bool, boolSyntax]
	// Count is a whole number from 0.
	Count = Setting[int64, countSyntax]
	// Share is a number from 0 to 1.
	Share = Setting[float64, shareSyntax]
	// Size is a number of bytes.
	Size = Setting[int64, sizeSyntax]
	// Duration is not negative.
	Duration = Setting[time.Duration, durationSyntax]
	// Schedule is what [schedule.ParseSchedule] takes.
	Schedule = Setting[string, scheduleSyntax]
	// Patterns choose streams by name.
	Patterns = Setting[buffer.Patterns, patternsSyntax]
	// Layouts are the places where sessions lie; none is "auto".
	Layouts = Setting[[]registry.Layout, layoutsSyntax]
	// Foreign is "keep" or "expire".
	Foreign = Setting[string, foreignSyntax]
	// Encoding is how LZ4 bytes are framed, or "auto".
	Encoding = Setting[burst.Encoding, encodingSyntax]
	// Listen is host:port, or empty.
	Listen = Setting[string, listenSyntax]
	// Level is the least severe level that is logged.
	Level = Setting[slog.Level, levelSyntax]
	// LogFormat is "auto", "text" or "json".
	LogFormat = Setting[string, logFormatSyntax]
)

// Auto finds the layout of sessions or the encoding of messages by looking, and
// logs text on a terminal and JSON elsewhere.
const Auto = "auto"

// Keep never changes entries that are not RTA's.
const Keep = "keep"

// Everything are the patterns that choose every stream.
func Everything() buffer.Patterns {
	var all Patterns
	all.Set("*", OriginDefault)
	return all.Value
}

type textSyntax struct{ plain[string] }

func (textSyntax) parse(text string) (string, error) { return text, nil }

type secretSyntax struct{ textSyntax }

func (secretSyntax) format(value string) string {
	if value == "" {
		return ""
	}
	return masked
}

func (s secretSyntax) mask(text string) string { return s.format(text) }

type fileSyntax struct{ plain[string] }

func (fileSyntax) parse(text string) (string, error) {
	info, err := os.Stat(text)
	if err != nil {
		return "", fmt.Errorf("%w; allowed: the path of a file", errors.Unwrap(err))
	}
	if info.IsDir() {
		return "", errors.New("is a directory; allowed: the path of a file")
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("is a pipe or a device; allowed: the path of a file")
	}
	return text, nil
}

type promFileSyntax struct{ plain[string] }

func (promFileSyntax) parse(text string) (string, error) {
	if filepath.Ext(text) != ".prom" || filepath.Base(text) == ".prom" {
		return "", errors.New("node_exporter's textfile collector reads files *.prom alone; allowed: a path that ends in .prom")
	}
	return text, nil
}

type boolSyntax struct{ plain[bool] }

func (boolSyntax) parse(text string) (bool, error) {
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("not a switch; allowed: true or false")
	}
	return value, nil
}

type countSyntax struct{ plain[int64] }

func (countSyntax) parse(text string) (int64, error) {
	value, err := strconv.ParseInt(text, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("out of range; allowed: 0 to %d", int64(math.MaxInt64))
	case err != nil:
		return 0, errors.New("not a whole number; allowed: digits only, such as 10000")
	case value < 0:
		return 0, errors.New("negative; allowed: 0 or more")
	}
	return value, nil
}

type shareSyntax struct{ plain[float64] }

func (shareSyntax) parse(text string) (float64, error) {
	value, err := strconv.ParseFloat(text, 64)
	// Written so that NaN fails too.
	if err != nil || !(value >= 0 && value <= 1) {
		return 0, errors.New("not a share; allowed: a number from 0 to 1, such as 0.5")
	}
	return value, nil
}

type durationSyntax struct{ plain[time.Duration] }

func (durationSyntax) parse(text string) (time.Duration, error) {
	value, err := human.ParseDuration(text)
	switch {
	case err != nil:
		return 0, errors.New("not a duration; allowed: numbers with the units ms, s, m, h and d, such as 90s, 1h30m or 7d")
	case value < 0:
		return 0, errors.New("negative; allowed: 0 or more")
	}
	return value, nil
}

func (durationSyntax) format(value time.Duration) string {
	if value == 0 {
		return "0"
	}
	text := value.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

type scheduleSyntax struct{ plain[string] }

func (scheduleSyntax) parse(text string) (string, error) {
	_, err := schedule.ParseSchedule(text)
	return text, err
}

type patternsSyntax struct{ plain[buffer.Patterns] }

func (patternsSyntax) parse(text string) (buffer.Patterns, error) {
	patterns, err := buffer.ParsePatterns(text)
	if err == nil && len(patterns) == 0 {
		err = errors.New("no pattern in it")
	}
	if err != nil {
		return nil, fmt.Errorf(`%w; allowed: globs and quoted names separated by commas, such as rocket-*, "odd, name"`, err)
	}
	return patterns, nil
}

func (patternsSyntax) format(value buffer.Patterns) string {
	var parts []string
	for _, p := range value {
		parts = append(parts, p.String())
	}
	return strings.Join(parts, ", ")
}

// word reads one of several words in any letter case.
func word(text string, words ...string) (string, error) {
	if w := strings.ToLower(text); slices.Contains(words, w) {
		return w, nil
	}
	return "", fmt.Errorf("unknown; allowed: %s", strings.Join(words, ", "))
}

// withAuto lists the word auto and the names of others.
func withAuto[T any](others []T) []string {
	words := []string{Auto}
	for _, other := range others {
		words = append(words, fmt.Sprint(other))
	}
	return words
}

type layoutsSyntax struct{ plain[[]registry.Layout] }

func (layoutsSyntax) parse(text string) ([]registry.Layout, error) {
	var layouts []registry.Layout
	auto := false
	for part := range strings.SplitSeq(text, ",") {
		name, err := word(strings.TrimSpace(part), withAuto(registry.Layouts())...)
		if err != nil {
			return nil, fmt.Errorf("%w, or several joined by commas", err)
		}
		auto = auto || name == Auto
		if layout := registry.Layout(name); name != Auto && !slices.Contains(layouts, layout) {
			layouts = append(layouts, layout)
		}
	}
	if auto && len(layouts) > 0 {
		return nil, fmt.Errorf("auto with others; allowed: auto alone, or some of %s joined by commas", strings.Join(withAuto(registry.Layouts())[1:], ", "))
	}
	return layouts, nil
}

func (layoutsSyntax) format(value []registry.Layout) string {
	if len(value) == 0 {
		return Auto
	}
	return strings.Join(withAuto(value)[1:], ",")
}

type foreignSyntax struct{ plain[string] }

func (foreignSyntax) parse(text string) (string, error) { return word(text, Keep, "expire") }

type encodingSyntax struct{ plain[burst.Encoding] }

func (encodingSyntax) parse(text string) (burst.Encoding, error) {
	name, err := word(text, withAuto(burst.Encodings())...)
	if err != nil {
		return burst.Auto, err
	}
	return burst.ParseEncoding(name)
}

func (encodingSyntax) format(value burst.Encoding) string { return cmp.Or(value.String(), Auto) }

type listenSyntax struct{ plain[string] }

// readsEmpty makes empty text a value: no HTTP.
func (listenSyntax) readsEmpty() bool { return true }

func (listenSyntax) parse(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || strings.ContainsAny(host, " /") {
		return "", errors.New("not an address; allowed: host:port such as :8080, 127.0.0.1:8080 or [::1]:8080, or empty for none")
	}
	return text, nil
}

type levelSyntax struct{ plain[slog.Level] }

func (levelSyntax) parse(text string) (slog.Level, error) {
	name, err := word(text, "debug", "info", "warn", "error")
	if err != nil {
		return 0, err
	}
	var level slog.Level
	return level, level.UnmarshalText([]byte(name))
}

func (levelSyntax) format(value slog.Level) string { return strings.ToLower(value.String()) }

type logFormatSyntax struct{ plain[string] }

func (logFormatSyntax) parse(text string) (string, error) {
	return word(text, Auto, "text", "json")
}
