package graph

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/imagelist"
)

// No more questions are asked at once than is allowed, and as many as are allowed.
func TestPlan_parallel(t *testing.T) {
	s := newSite(t)
	for k := range 100 {
		s.add(fmt.Sprint("leaf", k), short("FROM @alpine\n"))
	}
	for given, most := range map[int]int{0: MaxParallel, 3: 3, 1000: MaxParallel} {
		s.options.Parallel = given
		s.fake.reset()
		s.fake.fail = func(verb, _ string) error {
			for verb == "HEAD" && s.fake.mostAtOnce() < most { // nobody is answered before all ask
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		s.mustPlan()
		if s.fake.mostAtOnce() != most {
			t.Errorf("%d: %d at once, want %d", given, s.fake.most, most)
		}
	}
}

// A chain of thousands is no trouble, whatever the order of the list, and neither is one that ends where it began.
func TestNew_chain(t *testing.T) {
	const length = 2000
	s := newSite(t)
	for k := length - 1; k >= 0; k-- {
		text := short(fmt.Sprintf("FROM @link%d\n", k-1))
		if k == 0 {
			text = short("FROM @alpine\n")
		}
		name := fmt.Sprint("link", k)
		s.specs = append(s.specs, imagelist.Spec{
			Name: name, Origin: name, Inline: text, Platforms: bothPlatforms[:1], Tags: []string{"registry.test/" + name + ":1"},
		})
	}
	p := s.mustPlan()
	if w := p.Step(p.graph.Find(fmt.Sprint("link", length-1))).Wave; w != length-1 || len(planned(p)) != length {
		t.Errorf("wave %d", w)
	}
	s.spec("link0").Inline = short(fmt.Sprintf("FROM @link%d\n", length-1))
	_, err := s.build()
	wantError(t, err, diag.GraphCycle, "link1 needs link0")
}

// Registries of all parents are asked although a parent of the graph is still to be built: the pins have to be complete.
func TestPlan_pinsOfPlanned(t *testing.T) {
	s := newSite(t, [2]string{"root", short("FROM @alpine\n")}, [2]string{"leaf", short("FROM @root\nCOPY --from=@golang /x /\n")})
	p := s.mustPlan()
	leaf := p.Step(p.graph.Find("leaf"))
	if len(leaf.Pins) != 1 || leaf.Pins["registry.test/golang:1"] == "" || leaf.Hash != "" {
		t.Errorf("%+v", leaf)
	}
	if _, err := p.Lines(context.Background(), leaf.Image); diag.CodeOf(err) != diag.ParentMissing {
		t.Error(err)
	}
	s.run(p)
	if len(leaf.Pins) != 2 || leaf.Pins["registry.test/root:1"] == "" {
		t.Errorf("%+v", leaf)
	}
}
