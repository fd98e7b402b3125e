package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// verdict is one line of the table.
type verdict struct {
	work string
	// ours and other are the two sides' medians, as text.
	ours, other string
	// ratio is what is compared with the bound, in the given unit.
	ratio float64
	unit  string
	bound float64
	// atLeast turns the bound from the most into the least that is good.
	atLeast bool
	// note is what else is worth knowing.
	note string
}

func (v verdict) reached() string {
	if v.atLeast && v.ratio >= v.bound || !v.atLeast && v.ratio <= v.bound {
		return "yes"
	}
	return "NO"
}

func (v verdict) wanted() string {
	sign := "≤"
	if v.atLeast {
		sign = "≥"
	}
	return fmt.Sprintf("%s %g %s", sign, v.bound, v.unit)
}

func printTable(w io.Writer, verdicts []verdict) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "WORK\tOURS\tYARDSTICK\tRATIO\tREACH\tREACHED\tNOTE\n")
	for _, v := range verdicts {
		fmt.Fprintf(table, "%s\t%s\t%s\t%.2f %s\t%s\t%s\t%s\n", v.work, v.ours, v.other, v.ratio, v.unit, v.wanted(), v.reached(), v.note)
	}
	return table.Flush()
}

func seconds(s float64) string { return fmt.Sprintf("%.3f s", s) }

func millis(ms float64) string { return fmt.Sprintf("%.2f ms", ms) }

func perSecond(n float64) string {
	if n >= 1e6 {
		return fmt.Sprintf("%.1f M/s", n/1e6)
	}
	return fmt.Sprintf("%.0f k/s", n/1e3)
}
