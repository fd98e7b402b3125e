package doctest

import (
	"strings"
	"testing"

	"github.com/streamkeeper/streamkeeper/doctor"
)

// TestTheGuideSaysTheRuleOfEveryCheck: the table has the checks in their order,
// with the rules that the program gives.
func TestTheGuideSaysTheRuleOfEveryCheck(t *testing.T) {
	t.Parallel()
	var got, want []string
	for _, cells := range rowsOf(readPage(t, inspectorPage)) {
		if len(cells) == 4 {
			got = append(got, strings.Join(cells, " | "))
		}
	}
	for _, group := range doctor.Groups() {
		for _, c := range doctor.Checks() {
			if c.Group != group {
				continue
			}
			glance := ""
			if c.Glance {
				glance = "·"
			}
			want = append(want, strings.Join([]string{"`" + c.ID + "`", string(c.Group), glance, c.Rule}, " | "))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s: the checks are\n%s\nand are to be\n| %s |", inspectorPage, strings.Join(got, "\n"), strings.Join(want, " |\n| "))
	}
}
