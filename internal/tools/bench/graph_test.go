package main

import (
	"context"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/bench/results"
)

// The requests of a plan in each state, exactly: a page of tags for each repository, or a question for each image; one for each parent; and
// where something is built, what is recorded of it.
func TestGraph_requests(t *testing.T) {
	const tools, systems = 2, 4
	combinations, bases := graphCombinations(), graphBases()
	languages := len(graphLanguages)
	roots := systems + len(graphFlavours) + len(graphCommons) // bases that are built from no other
	gantry := testenv.BuildGantry(t)
	for name, oneEach := range graphShapes {
		leaves := tools // questions for the presence of all combinations
		perCombination := 0
		if oneEach {
			leaves, perCombination = tools*combinations, 1
		}
		// A record takes four: what the image's tag names, what is attached to that, and the record's manifest and content.
		const record = 4
		want := map[string]results.GraphSample{
			// No tag of a child is asked for, nor what was recorded of it where no tag is listed.
			results.GraphEmpty: {
				Questions: systems + roots + leaves*(1-perCombination),
				Records:   bases + perCombination*tools*combinations, Digests: 2 * systems,
			},
			results.GraphCold: {Questions: systems + bases + leaves, Digests: 2 * systems},
			results.GraphWarm: {Questions: systems + bases + leaves},
			results.GraphFile: {Questions: systems + bases + leaves, Records: record * combinations},
			// The image outside is asked for by HEAD and, as it is another one, read.
			results.GraphMoved: {
				Questions: systems + 1 + bases - 1 - languages + leaves - perCombination*tools*combinations/systems,
				Records:   record * (2 + languages + tools*combinations/systems), Digests: 2,
			},
		}
		t.Run(name, func(t *testing.T) {
			g, err := startGraph(t.Context(), t.TempDir(), gantry, tools, oneEach)
			if err != nil {
				t.Fatal(err)
			}
			defer g.close()
			g.latency = 0
			for _, s := range graphStates {
				got, err := g.measure(context.Background(), s)
				if err != nil {
					t.Fatal(err)
				}
				if got.PeakBytes < 10<<20 || got.Seconds <= 0 || got.CPUSeconds <= 0 || got.AtOnce < 1 || got.AtOnce > 64 {
					t.Errorf("%s: %+v is no measurement of a plan", s.name, got)
				}
				got = results.GraphSample{Questions: got.Questions, Records: got.Records, Digests: got.Digests}
				if got != want[s.name] {
					t.Errorf("%s: got %+v, want %+v", s.name, got, want[s.name])
				}
			}
		})
	}
}

// A state that is not what it has to be is no measurement.
func TestGraph_wrongPlan(t *testing.T) {
	g, err := startGraph(t.Context(), t.TempDir(), testenv.BuildGantry(t), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if _, err := g.measure(t.Context(), graphState{name: "wrong", make: emptied, build: func(*graphPlans) int { return 0 }}); err == nil {
		t.Error("a plan that builds everything counted as one that builds nothing")
	}
	if _, err := g.touch(7); err == nil {
		t.Error("a tool that is not there was changed")
	}
}
