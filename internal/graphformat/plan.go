package graphformat

import (
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/graph"
)

// plan is a plan by numbers: an image is its place in the list of steps.
type plan struct {
	Options
	nodes []node
	// waves are the images to build, those of a wave in the plan's order.
	waves [][]int
	build int
}

// node is an image of the plan. All its strings are UTF-8.
type node struct {
	step       graph.Step
	name       string
	repository string // of the first tag; empty without one
	// parents and children are images of the plan, bases the references of what it reads beside them.
	parents, children []int
	bases             []string
}

func newPlan(steps []graph.Step, o Options) *plan {
	p := &plan{Options: o, nodes: make([]node, len(steps))}
	index := make(map[*graph.Image]int, len(steps))
	for i, s := range steps {
		index[s.Image] = i
		p.nodes[i] = node{step: s, name: valid(s.Image.Spec.Name), repository: repository(s.Image.Spec.Tags)}
		if s.Decision != graph.Build {
			continue
		}
		p.build++
		for len(p.waves) <= s.Wave {
			p.waves = append(p.waves, nil)
		}
		p.waves[s.Wave] = append(p.waves[s.Wave], i)
	}
	for i := range p.nodes {
		p.connect(i, index)
	}
	return p
}

func (p *plan) connect(i int, index map[*graph.Image]int) {
	n := &p.nodes[i]
	for _, parent := range n.step.Image.Parents {
		if k, ok := index[parent]; ok {
			n.parents = append(n.parents, k)
			p.nodes[k].children = append(p.nodes[k].children, i)
		} else {
			n.bases = append(n.bases, valid(parent.Spec.Name))
		}
	}
	for _, v := range n.step.Image.Variants {
		for _, parent := range v.Parents {
			if ref := valid(parent.Reference); parent.Image == nil && ref != "" && !slices.Contains(n.bases, ref) {
				n.bases = append(n.bases, ref)
			}
		}
	}
}

func (n *node) built() bool { return n.step.Decision == graph.Build }

func (n *node) forced() bool {
	return slices.ContainsFunc(n.step.Reasons, func(r graph.Reason) bool { return r.Kind == "forced" })
}

// repository is the repository of the first tag, as a group of images: registry/name without tag and digest.
func repository(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	ref, _, _ := strings.Cut(valid(tags[0]), "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// phrases say what a kind of reason means where the sentences of many images are folded into one.
var phrases = map[string]string{
	"new":            "not built yet",
	"file":           "a file changed",
	"argument":       "an argument changed",
	"instruction":    "an instruction changed",
	"source":         "a remote source changed",
	"platform":       "a platform changed",
	"parent":         "a parent changed",
	"parent-planned": "a parent is built",
	"frontend":       "the frontend changed",
	"unknown":        "cannot be known before it is built",
	"unknown-built":  "cannot be known, and counts as built before",
	"unseen":         "the registry does not say whether it is there",
	"forced":         "asked for",
	"same":           "nothing changed",
	"built":          "built just now",
}

func phrase(kind string) string {
	if text := phrases[kind]; text != "" {
		return text
	}
	return valid(kind)
}

// valid replaces what is not UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
