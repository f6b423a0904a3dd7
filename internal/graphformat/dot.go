package graphformat

import (
	"fmt"
	"io"
	"strings"
)

// writeDOT writes a graph for Graphviz: the images that are built and their parents, or all. Of more images than Graphviz draws while a person
// waits there is a box for each repository, but for Options.All.
func writeDOT(w io.Writer, p *plan) error {
	pic := p.touched()
	if !p.All && (len(pic.boxes) > dotBoxes || len(pic.edges) > dotEdges) {
		pic = p.fold("a box is a repository; --all draws each image, for sfdp -Tsvg", byRepository)
	}
	var b strings.Builder
	b.WriteString("digraph gantry {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n")
	if pic.folded != "" {
		fmt.Fprintf(&b, "  label=\"%s\";\n", dotText(pic.folded))
	}
	for i, box := range pic.boxes {
		style := `style="dashed", color="#868e96"`
		if box.build {
			style = `style="filled", fillcolor="#ffd8a8", color="#b35900"`
		}
		fmt.Fprintf(&b, "  n%d [label=\"%s\", tooltip=\"%s\", %s];\n", i, dotText(box.label), dotText(box.tip), style)
	}
	for _, e := range pic.edges {
		fmt.Fprintf(&b, "  n%d -> n%d;\n", e[0], e[1])
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// dotText writes a string as an escString, in which \N is the name of the node and &#38; a character.
func dotText(s string) string {
	var b strings.Builder
	for _, r := range valid(s) {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '&':
			b.WriteString("&amp;")
		case r == '\n':
			b.WriteString(`\n`)
		case r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xfffe || r == 0xffff: // no XML has them
			b.WriteRune('\uFFFD')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
