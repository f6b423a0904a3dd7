package graphformat

import (
	"fmt"
	"io"
	"strings"
)

// writeMermaid writes a flow chart. What Mermaid would refuse to draw is drawn with a box for each repository, and if that is still too much,
// for each wave, and at last with two: what is built and what is not.
func writeMermaid(w io.Writer, p *plan) error {
	pic := p.touched()
	text := mermaid(pic)
	for _, fold := range []func() picture{
		func() picture { return p.fold("a box is a repository", byRepository) },
		func() picture { return p.fold("a box is a wave", byWave) },
		func() picture { return p.fold("a box is what is built, or what is not", byDecision) },
	} {
		if len(text) <= mermaidText && len(pic.edges) <= mermaidEdges {
			break
		}
		pic = fold()
		text = mermaid(pic)
	}
	_, err := io.WriteString(w, text)
	return err
}

func mermaid(pic picture) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	if pic.folded != "" {
		fmt.Fprintf(&b, "  %%%% these are more images than Mermaid draws: %s\n", pic.folded)
	}
	for i, box := range pic.boxes {
		class := "skip"
		if box.build {
			class = "build"
		}
		fmt.Fprintf(&b, "  n%d[\"%s\"]:::%s\n", i, mermaidLabel(box.label), class)
	}
	for _, e := range pic.edges {
		fmt.Fprintf(&b, "  n%d --> n%d\n", e[0], e[1])
	}
	b.WriteString("  classDef build fill:#ffd8a8,stroke:#b35900,stroke-width:2px,color:#1a1a1a\n")
	b.WriteString("  classDef skip fill:#e9ecef,stroke:#868e96,stroke-dasharray:4 3,color:#1a1a1a\n")
	return b.String()
}

// mermaidLabel writes a label. All but harmless characters are entities. The colon is one only where Mermaid would cut the last ; of the line,
// which it does where the line matches /style.*:\S*#.*;/ or the like with classDef (encodeEntities in utils.ts).
func mermaidLabel(s string) string {
	if s == "" {
		return " " // an empty label is an error
	}
	harmless := " ._-/,()@+=:"
	if strings.Contains(s, "style") || strings.Contains(s, "classDef") {
		harmless = strings.TrimSuffix(harmless, ":")
	}
	var b strings.Builder
	for _, r := range valid(s) {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(harmless, r):
			b.WriteRune(r)
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			b.WriteByte(' ')
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}
