package doctor

import (
	"fmt"
	"io"
)

// Print writes the report for a person.
func (r *Report) Print(w io.Writer) {
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%-8s%s: %s\n", f.Status, f.Probe, f.Saw)
		if f.Means != "" {
			fmt.Fprintf(w, "        %s\n", f.Means)
		}
	}
	if len(r.Left) == 0 {
		fmt.Fprintf(w, "nothing that was written to %s is left\n", r.Repository)
		return
	}
	fmt.Fprintf(w, "left in %s, as the registry does not delete it:\n", r.Repository)
	for _, l := range r.Left {
		fmt.Fprintf(w, "        %s\n", l)
	}
}
