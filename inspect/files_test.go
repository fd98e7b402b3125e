package inspect

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/internal/corpus"
)

// checkAll judges files and fails on an error.
func checkAll(t *testing.T, o Options, stdin io.Reader, paths ...string) []Message {
	t.Helper()
	var messages []Message
	if _, err := CheckFiles(t.Context(), o, paths, stdin, func(m Message) { messages = append(messages, m) }); err != nil {
		t.Fatal(err)
	}
	return messages
}

func TestFilesOfTheCorpusAreJudgedAsItSaysWhateverTheOrder(t *testing.T) {
	t.Parallel()
	dir, wants := t.TempDir(), corpus.Read[corpusMessage](t, corpus.Bursts)
	paths := make([]string, len(wants))
	for i, m := range wants {
		paths[i] = filepath.Join(dir, m.Name)
		if err := os.WriteFile(paths[i], m.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range checkAll(t, Options{}, nil, paths...) {
		if err := wants[i].agrees(got); err != nil {
			t.Errorf("%s: %v", wants[i].Name, err)
		}
	}
	slices.Reverse(paths)
	slices.Reverse(wants)
	for i, got := range checkAll(t, Options{}, nil, paths...) {
		if err := wants[i].agrees(got); err != nil {
			t.Errorf("%s, backwards: %v", wants[i].Name, err)
		}
	}
}

func TestStandardInputIsReadOnce(t *testing.T) {
	t.Parallel()
	got := checkAll(t, Options{}, bytes.NewReader(payload(t, burst.Frame, 100)), "-", "-")
	if len(got) != 1 || got[0].File != "-" || got[0].Verdict != burst.OK || got[0].Encoding != burst.Frame {
		t.Errorf("%+v", got)
	}
}

// endless is a reader without end that counts what is taken from it.
type endless struct{ taken int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.taken += int64(len(p))
	return len(p), nil
}

func TestAFileThatIsTooLargeIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "giant")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip("the file system has no sparse files:", err)
	}
	var in endless
	for _, m := range checkAll(t, Options{MaxBurst: 1 << 20}, &in, path, "-") {
		if m.Verdict != burst.Invalid || !slices.Equal(m.Reasons, []Reason{"too_large"}) {
			t.Errorf("%s: %s %s", m.File, m.Verdict, m.Reasons)
		}
	}
	if in.taken > 2<<20 {
		t.Errorf("%d bytes were read", in.taken)
	}
}

func TestAPayloadThatCannotBeCompressedFitsUpToTheLimit(t *testing.T) {
	t.Parallel()
	for _, enc := range burst.Encodings() {
		data := payload(t, enc, 1<<20-100)
		got := checkAll(t, Options{MaxBurst: 1 << 20}, bytes.NewReader(data), "-")
		if got[0].Verdict != burst.OK {
			t.Errorf("%s: %s %s", enc, got[0].Verdict, got[0].Reasons)
		}
	}
}

func TestAFileThatCannotBeReadIsNamedAndTheOthersAreJudged(t *testing.T) {
	t.Parallel()
	var messages []Message
	paths := []string{"/does/not/exist", "-", t.TempDir()}
	report, err := CheckFiles(t.Context(), Options{}, paths, strings.NewReader("rubbish"),
		func(m Message) { messages = append(messages, m) })
	if err == nil || !strings.Contains(err.Error(), paths[0]) || !strings.Contains(err.Error(), paths[2]) {
		t.Errorf("error %v", err)
	}
	if len(messages) != 1 || messages[0].Verdict != burst.Invalid || report.Errors != 2 || report.Invalid != 1 || report.Bytes != 7 {
		t.Errorf("%+v %+v", messages, report)
	}
}

func TestAPinnedEncodingIsTheOnlyOneTried(t *testing.T) {
	t.Parallel()
	data := payload(t, burst.Frame, 100)
	if got := checkAll(t, Options{Encoding: burst.Pickle}, bytes.NewReader(data), "-"); got[0].Verdict != burst.Invalid {
		t.Errorf("a frame was taken for a pickle: %+v", got)
	}
}

func TestContentIsShownOfWhatCanBeReadOnly(t *testing.T) {
	t.Parallel()
	for _, enc := range burst.Encodings() {
		got := checkAll(t, Options{Decode: true}, bytes.NewReader(payload(t, enc, 100)), "-")[0]
		if got.Verdict != burst.OK || got.Content == nil || len(got.Content.Data) != 1 || got.Content.Data[0].Kind != "row_data" {
			t.Errorf("%s: %s, content %+v", enc, got.Verdict, got.Content)
		}
	}
	if got := checkAll(t, Options{Decode: true}, strings.NewReader("rubbish"), "-"); got[0].Content != nil {
		t.Errorf("content %+v of rubbish", got[0].Content)
	}
	if got := checkAll(t, Options{}, bytes.NewReader(payload(t, burst.Wrap, 100)), "-"); got[0].Content != nil {
		t.Error("content was shown unasked")
	}
}
