package graph

import (
	"path/filepath"
	"testing"
)

// Images of one Dockerfile read the files of their own contexts, named ones too, and those with the same files have the same hash.
func TestPlan_oneDockerfile(t *testing.T) {
	s := newSite(t, [2]string{"first", short("FROM @alpine\nCOPY --from=more file /more\nCOPY file /\n")})
	s.write("shared/file", "shared")
	same := func(name, context, more string) {
		spec := *s.spec("first")
		spec.Name, spec.Tags = name, []string{"registry.test/" + name + ":1"}
		spec.Context, spec.Contexts = filepath.Join(s.dir, context), nil
		if more != "" {
			spec.Contexts = map[string]string{"more": filepath.Join(s.dir, more)}
		}
		s.specs = append(s.specs, spec)
	}
	for _, name := range []string{"second", "third"} {
		s.write(name+"/file", "file of "+name)
	}
	s.spec("first").Contexts = map[string]string{"more": filepath.Join(s.dir, "shared")}
	same("context", "second", "shared")
	same("named", "first", "third")
	same("equal", "first", "shared")

	s.add("plain", short("FROM @alpine\nCOPY file /\n"))
	for _, context := range []string{"first", "second"} {
		spec := *s.spec("plain")
		spec.Name, spec.Tags, spec.Context = "plain-"+context, []string{"registry.test/plain-" + context + ":1"}, filepath.Join(s.dir, context)
		s.specs = append(s.specs, spec)
	}
	p := s.mustPlan()
	hash := func(name string) string {
		step := p.Step(p.graph.Find(name))
		if step.Hash == "" {
			t.Fatalf("%s has no hash", name)
		}
		return string(step.Hash)
	}
	different := map[string]string{}
	for _, name := range []string{"first", "context", "named", "plain", "plain-first", "plain-second"} {
		if other := different[hash(name)]; other != "" {
			t.Errorf("%s has the hash of %s", name, other)
		}
		different[hash(name)] = name
	}
	if hash("equal") != hash("first") {
		t.Error("an image of the same files has another hash")
	}
}
