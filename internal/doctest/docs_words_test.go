package doctest

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// longestSentence is how many words a sentence may have: many readers' first
// language is another.
const longestSentence = 40

func TestNoSentenceOfTheGuidesIsTooLong(t *testing.T) {
	t.Parallel()
	guides, err := filepath.Glob("docs/*.md")
	mustDo(t, err)
	seen := 0
	for _, path := range guides {
		for _, p := range passages(readPage(t, path)) {
			for _, sentence := range sentences(p.text) {
				seen++
				if n := countWords(sentence); n > longestSentence {
					t.Errorf("%s:%d: %d words, at most %d: %s", path, p.line, n, longestSentence, sentence)
				}
			}
		}
	}
	if seen < 10*len(guides) {
		t.Errorf("only %d sentences found in %d guides", seen, len(guides))
	}
}

// Who opens a guide by chance sees at once whether it is for them.
func TestEachGuideNamesItsReaderFirst(t *testing.T) {
	t.Parallel()
	guides, err := filepath.Glob("docs/*.md")
	mustDo(t, err)
	for _, path := range guides {
		if text := passages(readPage(t, path)); len(text) == 0 || !strings.HasPrefix(text[0].text, "For ") {
			t.Errorf("%s does not begin with whom it is for", path)
		}
	}
}

func TestSentencesAreToldApart(t *testing.T) {
	t.Parallel()
	text := "# A title.\nOne two\nthree `code. That` four. **Five** six!\n\n- Seven: [eight. nine](x.md).\n- Ten\n\n```sh\nnot this\n```\n| a. b | c |\n"
	var got []string
	for _, p := range passages(text) {
		got = append(got, sentences(p.text)...)
	}
	want := []string{"One two three CODE four.", "Five six!", "Seven: eight.", "nine.", "Ten", "a.", "b", "c"}
	if !slices.Equal(got, want) {
		t.Errorf("the sentences are %q, want %q", got, want)
	}
	if n := countWords(want[0]); n != 5 {
		t.Errorf("%d words in %q", n, want[0])
	}
}

// passage is a paragraph, an item of a list or a cell of a table.
type passage struct {
	line int // of its beginning
	text string
}

var listItem = regexp.MustCompile(`^([-*]|\d+\.) `)

// passages are the running text of a page.
func passages(text string) (all []passage) {
	for _, b := range blocksOf(text) {
		if b.language != prose {
			continue
		}
		open := false
		for i, line := range b.lines {
			line = strings.TrimSpace(line)
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
				open = false
			case strings.HasPrefix(line, "|"):
				open = false
				for cell := range strings.SplitSeq(strings.ReplaceAll(line, `\|`, "/"), "|") {
					all = append(all, passage{b.line + i, cell})
				}
			case open && !listItem.MatchString(line):
				all[len(all)-1].text += " " + line
			default:
				open = true
				all = append(all, passage{b.line + i, listItem.ReplaceAllString(line, "")})
			}
		}
	}
	return all
}

var (
	linkText    = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	sentenceEnd = regexp.MustCompile(`([.!?][")”]*)\s+`)
)

// sentences splits a passage. Code counts as a word.
func sentences(text string) (all []string) {
	text = codeSpan.ReplaceAllString(text, "CODE")
	text = linkText.ReplaceAllString(text, "$1")
	text = strings.ReplaceAll(text, "**", "")
	for sentence := range strings.SplitSeq(sentenceEnd.ReplaceAllString(text, "$1\n"), "\n") {
		if sentence = strings.TrimSpace(sentence); sentence != "" {
			all = append(all, sentence)
		}
	}
	return all
}

func countWords(sentence string) (n int) {
	for word := range strings.FieldsSeq(sentence) {
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}

// Who looks for an alert by its name under the symptoms finds its runbook.
func TestTheSymptomsListEveryAlert(t *testing.T) {
	t.Parallel()
	symptoms := readPage(t, "docs/troubleshooting.md")
	for _, m := range regexp.MustCompile(`(?m)^### (Streamkeeper\w+)$`).FindAllStringSubmatch(readPage(t, runbooksFile), -1) {
		if !strings.Contains(symptoms, "["+m[1]+"]") {
			t.Errorf("docs/troubleshooting.md does not list %s", m[1])
		}
	}
}
