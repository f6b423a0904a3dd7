package graphformat

import (
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/progress"
)

// picture is what Mermaid and DOT draw.
type picture struct {
	boxes []box
	edges [][2]int // from a parent to a child, each once
	// folded says that a box stands for many images, and why.
	folded string
}

type box struct {
	label, tip string
	build      bool // at least one image of it is built
}

// touched draws the images that are built and their parents, or all images.
func (p *plan) touched() picture {
	at := make([]int, len(p.nodes))
	shown := make([]bool, len(p.nodes))
	for i := range p.nodes {
		if p.nodes[i].built() {
			shown[i] = true
			for _, k := range p.nodes[i].parents {
				shown[k] = true
			}
		}
	}
	var pic picture
	for i := range p.nodes {
		if !shown[i] && !p.All {
			continue
		}
		n := &p.nodes[i]
		at[i] = len(pic.boxes)
		pic.boxes = append(pic.boxes, box{label: n.name, tip: tip(n), build: n.built()})
		for _, k := range n.parents {
			// between two that are skipped there is nothing to see
			if n.built() || p.All {
				pic.edges = append(pic.edges, [2]int{at[k], at[i]})
			}
		}
	}
	return pic
}

func tip(n *node) string {
	text := string(n.step.Decision)
	for i, r := range n.step.Reasons {
		if i == 0 {
			text += ": " + r.Text
		} else {
			text += "; " + r.Text
		}
	}
	return text
}

// fold draws a box for all images with the same key. Edges inside a box are left out.
func (p *plan) fold(what string, key func(n *node) string) picture {
	pic := picture{folded: what}
	at := map[string]int{}
	counts := map[string][2]int{} // all, built
	var keys []string
	for i := range p.nodes {
		k := key(&p.nodes[i])
		if _, ok := at[k]; !ok {
			at[k] = len(keys)
			keys = append(keys, k)
		}
		c := counts[k]
		c[0]++
		if p.nodes[i].built() {
			c[1]++
		}
		counts[k] = c
	}
	for _, k := range keys {
		c := counts[k]
		pic.boxes = append(pic.boxes, box{label: fmt.Sprintf("%s (%s, %s to build)", k, progress.Count(c[0], "image"), progress.Thousands(c[1])), build: c[1] > 0})
	}
	seen := map[[2]int]bool{}
	for i := range p.nodes {
		for _, k := range p.nodes[i].parents {
			e := [2]int{at[key(&p.nodes[k])], at[key(&p.nodes[i])]}
			if e[0] != e[1] && !seen[e] {
				seen[e] = true
				pic.edges = append(pic.edges, e)
			}
		}
	}
	slices.SortFunc(pic.edges, func(a, b [2]int) int {
		if a[0] != b[0] {
			return a[0] - b[0]
		}
		return a[1] - b[1]
	})
	return pic
}

func byRepository(n *node) string {
	if n.repository == "" {
		return "without a tag"
	}
	return n.repository
}

func byDecision(n *node) string { return string(n.step.Decision) }

func byWave(n *node) string {
	if !n.built() {
		return "skipped"
	}
	return fmt.Sprintf("wave %d", n.step.Wave)
}
