package graphrun

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/graph"
)

// tags are what Tags says, as "name source tags shared", a source without its hash or digest.
func (s *site) tags(plan *graph.Plan, meant ...string) []string {
	s.t.Helper()
	var images []*graph.Image
	for _, name := range meant {
		images = append(images, s.graph.Find(name))
	}
	list, err := Tags(s.t.Context(), s.graph, plan, images)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, i := range list {
		source := i.Why
		if i.Source.Registry != "" {
			source, _, _ = strings.Cut(strings.TrimPrefix(i.Source.String(), s.proxy.Host()+"/team/"), "-")
			source, _, _ = strings.Cut(source, "256:")
		}
		out = append(out, fmt.Sprintf("%s %s %d %d", i.Name, source, len(i.Tags), len(i.Shared)))
	}
	slices.Sort(out)
	return out
}

// TestTags: the images that share a tag with one that is meant are looked for, and their own tags are not meant.
func TestTags(t *testing.T) {
	s := newSite(t)
	// The hash of root is not known, so that its children's are known in a run alone that builds it.
	s.write("root", "Dockerfile", "FROM scratch\nADD http://127.0.0.1:1/x /\nCOPY f /\n")
	s.write("alone", "Dockerfile", "FROM --platform=linux/amd64 "+s.ref("root")+"\nCOPY f /\n")
	both := s.proxy.Reference("team/both", "1")
	s.shared, s.platform = map[string][]string{"left": {both}, "alone": {both, s.proxy.Reference("team/alone", "other")}}, map[string]string{"alone": "linux/arm64"}
	s.graphOf(t)
	is := func(plan *graph.Plan, want []string, meant ...string) {
		t.Helper()
		if got := s.tags(plan, meant...); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	is(nil, []string{"alone is not built yet 0 1", "left is not built yet 1 1"}, "left")
	s.only = []string{"alone"}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(s.plan, []string{
		"alone alone:src 1 2", "left is not built yet 0 1", "root root:1 1 0", // its first tag: another run may have pushed it meanwhile
	}, "alone", "root")
	// root is built again to what it was: alone is there, though this run's plan does not have it.
	s.only = []string{"left"}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(s.plan, []string{"alone alone:src 0 1", "left left:src 1 1"}, "left")
	is(nil, []string{"root root:1 1 0"}, "root") // its first tag, whatever that names when the tags are looked at
}
