package graphformat

import (
	"fmt"
	"io"
	"strings"

	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/progress"
)

// maxRows are the images that a summary lists.
const maxRows = 100

// Summary writes in Markdown what a plan builds and why, as the page of a job on GitHub shows it.
func Summary(w io.Writer, steps []graph.Step) error {
	p := newPlan(steps, Options{})
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n", markdown(p.headline()))
	if p.build > 0 {
		b.WriteString("\n| wave | image | why |\n| --- | --- | --- |\n")
	}
	rows := 0
	for i, wave := range p.waves {
		for _, k := range wave {
			if rows++; rows <= maxRows {
				fmt.Fprintf(&b, "| %d | %s | %s |\n", i, markdown(printable(p.nodes[k].name)), markdown(strings.Join(p.why(k), "; ")))
			}
		}
	}
	if rows > maxRows {
		fmt.Fprintf(&b, "\nand %s more\n", progress.Count(rows-maxRows, "image"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdown writes a text, all of which but harmless characters are entities.
func markdown(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80 && !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" .,;-/()=+%", r)):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
