package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/tools/bench/results"
	"github.com/gantry-build/gantry/internal/tools/memregistry"
)

// graphLatency is how long the registry holds each request.
const graphLatency = 5 * time.Millisecond

// graphPlans is a graph in one shape, its registry, and the binary that plans it.
type graphPlans struct {
	*graphSite
	shelf  graphShelf
	gantry string
	// cache is gantry's folder for what it keeps.
	cache   string
	latency time.Duration
}

// startGraph writes the files and fills the registry. close must be called.
func startGraph(ctx context.Context, work, gantry string, tools int, oneEach bool) (g *graphPlans, err error) {
	g = &graphPlans{shelf: graphShelf{memregistry.Start()}, gantry: gantry, cache: filepath.Join(work, "cache"), latency: graphLatency}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if g.graphSite, err = writeGraphSite(filepath.Join(work, "site"), g.shelf.Host(), tools, oneEach); err != nil {
		return g, err
	}
	for _, system := range graphSystems {
		if err := g.shelf.outside(ctx, system, "first "); err != nil {
			return g, err
		}
	}
	return g, g.shelf.fill(ctx, g.list())
}

func (g *graphPlans) close() { g.shelf.Close() }

func (g *graphPlans) list() string { return filepath.Join(g.dir, imagelist.FileName) }

// images is how many images the list has.
func (g *graphPlans) images() int { return g.tools*graphCombinations() + graphBases() }

// graphState is a state in which the graph is planned.
type graphState struct {
	name string
	// fresh says that the cache folder is empty.
	fresh bool
	// make brings it about and returns what undoes it; nil is the state that was filled.
	make func(ctx context.Context, g *graphPlans) (undo func() error, err error)
	// build is how many images the plan has to build.
	build func(g *graphPlans) int
}

// graphStates are in the order in which a round measures them: warm finds what cold left.
var graphStates = []graphState{
	{results.GraphEmpty, true, emptied, (*graphPlans).images},
	{results.GraphCold, true, nil, func(*graphPlans) int { return 0 }},
	{results.GraphWarm, false, nil, func(*graphPlans) int { return 0 }},
	{
		results.GraphFile, false, func(_ context.Context, g *graphPlans) (func() error, error) { return g.touch(0) },
		func(*graphPlans) int { return graphCombinations() },
	},
	{results.GraphMoved, false, moved, func(g *graphPlans) int {
		return 2 + len(graphLanguages) + g.tools*graphCombinations()/len(graphSystems)
	}},
}

// emptied leaves in the registry what is outside the graph.
func emptied(_ context.Context, g *graphPlans) (func() error, error) {
	back := g.shelf.Hold(func(repository string) bool { return strings.HasPrefix(repository, outsidePrefix) })
	return func() error { back(); return nil }, nil
}

// moved gives the image that one system's base begins with another content.
func moved(ctx context.Context, g *graphPlans) (func() error, error) {
	return func() error { return g.shelf.outside(ctx, graphSystems[0], "first ") }, g.shelf.outside(ctx, graphSystems[0], "second ")
}

// measure plans in a state, and fails when the plan is not what it has to be.
func (g *graphPlans) measure(ctx context.Context, s graphState) (sample results.GraphSample, err error) {
	if s.fresh {
		if err := os.RemoveAll(g.cache); err != nil {
			return sample, err
		}
	}
	if s.make != nil {
		undo, err := s.make(ctx, g)
		if err != nil {
			return sample, err
		}
		defer func() {
			if undoErr := undo(); err == nil {
				err = undoErr
			}
		}()
	}
	settle()
	g.shelf.Begin(g.latency)
	u, out, err := measuredOutput(ctx, g.dir, append(os.Environ(), "GANTRY_CACHE_DIR="+g.cache), g.gantry, "graph", "plan", "--list", g.list())
	if err != nil {
		return sample, err
	}
	if want := g.wanted(s.build(g)); !strings.Contains("\n"+string(out), "\n"+want) { // beside lines about the time that is left
		return sample, fmt.Errorf("%s: want %q of the plan, which says\n%.2000s", s.name, want, out)
	}
	sample = results.GraphSample{Seconds: u.Seconds, CPUSeconds: u.CPUSeconds, PeakBytes: u.PeakBytes}
	asked, most := g.shelf.Asked()
	sample.AtOnce = most
	for _, r := range asked {
		outside := strings.HasPrefix(r.Repository, outsidePrefix)
		byDigest := strings.Contains(r.Reference, ":")
		switch {
		case r.Kind == "tags", r.Kind == "manifests" && !byDigest && (outside || strings.HasPrefix(r.Reference, "src-")):
			sample.Questions++
		case outside:
			sample.Digests++
		default:
			sample.Records++
		}
	}
	return sample, nil
}

// wanted is how a plan's first line begins.
func (g *graphPlans) wanted(build int) string {
	if build == 0 {
		return "Nothing to build: " + thousands(g.images()) + " images"
	}
	return "Build " + thousands(build) + " of " + thousands(g.images()) + " images"
}

// thousands writes 12800 as "12,800".
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// graphShapes are the two ways to lay the images out, by name.
var graphShapes = map[string]bool{results.ByTool: false, results.OneEach: true}

// graphWanted says whether a case is selected: its name is graph/SHAPE/STATE/5.
func (b *bench) graphWanted(shape string, s graphState) bool {
	return b.cases.MatchString(fmt.Sprintf("graph/%s/%s/%d", shape, s.name, graphLatency.Milliseconds()))
}

// graph measures the plans of a large graph; without a selected case it leaves the results as they are.
func (b *bench) graph(ctx context.Context, gantry string) error {
	doc := &results.Graph{
		Machine: machine("", ""), Rounds: b.rounds, Latency: int(graphLatency.Milliseconds()), Images: graphTools * graphCombinations(),
		Bases: graphBases(), Outside: len(graphSystems),
	}
	for _, shape := range []string{results.ByTool, results.OneEach} {
		if err := b.graphShape(ctx, doc, gantry, shape); err != nil {
			return fmt.Errorf("a graph of %s: %w", shape, err)
		}
	}
	if len(doc.Cases) > 0 {
		b.doc.Graph = doc
	}
	return nil
}

func (b *bench) graphShape(ctx context.Context, doc *results.Graph, gantry, shape string) error {
	selected := false
	for _, s := range graphStates {
		selected = selected || b.graphWanted(shape, s)
	}
	if !selected {
		return nil
	}
	b.say("graph of %s: writing the files and filling the registry", shape)
	work, err := os.MkdirTemp(b.work, "graph")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	g, err := startGraph(ctx, work, gantry, graphTools, graphShapes[shape])
	if err != nil {
		return err
	}
	defer g.close()
	doc.Files, doc.Bytes = g.files, g.bytes
	for round := range b.rounds {
		for _, s := range graphStates {
			wanted := b.graphWanted(shape, s)
			if !wanted && s.name != results.GraphCold { // which the warm ones begin with
				continue
			}
			sample, err := g.measure(ctx, s)
			if err != nil {
				return err
			}
			b.say("round %d, graph of %s, %s: %.2f s, %.2f s of CPU, %d MB; %d questions, %d for records, %d by digest, %d at once", round+1, shape, s.name,
				sample.Seconds, sample.CPUSeconds, sample.PeakBytes/1e6, sample.Questions, sample.Records, sample.Digests, sample.AtOnce)
			if wanted {
				doc.Add(shape, s.name, s.build(g), sample)
			}
		}
	}
	return nil
}
