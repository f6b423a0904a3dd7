package graph

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/platform"
)

func TestNew_order(t *testing.T) {
	s := newSite(t,
		[2]string{"leaf", short("FROM @middle\n")},
		[2]string{"middle", short("FROM @root\nCOPY --from=@alpine /x /\n")},
		[2]string{"root", short("FROM @alpine\n")})
	g, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, i := range g.Images {
		names = append(names, i.Spec.Name)
	}
	s.want(names, "root", "middle", "leaf")
	m := g.Find("registry.test/middle:1")
	if m == nil || len(m.Parents) != 1 || m.Parents[0] != g.Find("root") || m.Children[0] != g.Find("leaf") {
		t.Errorf("%+v", m)
	}
	if p := m.Variants[0].Parents; len(p) != 2 || p[0].Image != g.Find("root") || p[1].Image != nil || p[1].Reference != "registry.test/alpine:1" {
		t.Errorf("%+v", p)
	}
}

func TestNew_errors(t *testing.T) {
	for name, c := range map[string]struct {
		files [][2]string
		edit  func(*site)
		code  diag.Code
		want  []string
	}{
		"a cycle": {
			[][2]string{{"a", "FROM @b\n"}, {"b", "FROM @alpine\nCOPY --from=@c /x /\n"}, {"c", "FROM scratch\nCOPY --from=@a /x /\n"}},
			nil,
			diag.GraphCycle,
			[]string{"a needs b needs c needs a"},
		},
		"a cycle of bases":        {[][2]string{{"a", "FROM @b\n"}, {"b", "FROM @a\n"}}, nil, diag.GraphCycle, []string{"a needs b needs a"}},
		"itself":                  {[][2]string{{"a", "FROM @a\n"}}, nil, diag.GraphCycle, []string{"a needs a"}},
		"not in the registry":     {[][2]string{{"a", "FROM @nowhere\n"}, {"b", "FROM @nowhere\n"}}, nil, diag.ParentMissing, []string{"image a and 1 more", "registry.test/nowhere:1"}},
		"no such target":          {[][2]string{{"a", "FROM x\n"}}, func(s *site) { s.specs[0].Contexts = map[string]string{"x": "target:y"} }, diag.ParentMissing, []string{"target:y"}},
		"a tag twice":             {[][2]string{{"a", "FROM @alpine\n"}, {"b", "FROM @alpine\n"}}, func(s *site) { s.specs[1].Tags = s.specs[0].Tags }, diag.DoubleTag, []string{"registry.test/a:1", "list:a", "list:b"}},
		"a name twice":            {[][2]string{{"a", "FROM @alpine\n"}, {"a", "FROM @alpine\n"}}, nil, diag.DoubleTag, []string{"list:a: image a: the name is that of"}},
		"no image for it":         {[][2]string{{"a", "FROM @multi\n"}}, func(s *site) { s.specs[0].Platforms = []string{"linux/s390x"} }, diag.ParentPlatform, []string{"linux/s390x", "linux/amd64, linux/arm64"}},
		"no image of the graph":   {[][2]string{{"a", "FROM @b\n"}, {"b", "FROM @multi\n"}}, func(s *site) { s.specs[0].Platforms, s.specs[1].Platforms = []string{"linux/s390x"}, bothPlatforms }, diag.ParentPlatform, []string{"image a", "linux/s390x"}},
		"a Dockerfile that fails": {[][2]string{{"a", "FROM @alpine\nNONSENSE\n"}}, nil, diag.InvalidDockerfile, []string{"a/Dockerfile:2"}},
		"no platform":             {[][2]string{{"a", "FROM scratch\n"}}, func(s *site) { s.specs[0].Platforms = []string{"linux/a/b/c"} }, diag.InvalidImage, []string{"list:a: image a", "linux/a/b/c"}},
		"no Dockerfile":           {[][2]string{{"a", ""}}, func(s *site) { check(os.Remove(s.specs[0].Dockerfile)) }, diag.InvalidDockerfile, []string{"image a"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.fake.push(reference(t, "registry.test/multi:1"), makeImage(map[string]string{"linux/amd64": "", "linux/arm64": ""}, dockerfile.Config{}))
			for _, f := range c.files {
				s.add(f[0], short(f[1]))
			}
			if c.edit != nil {
				c.edit(s)
			}
			_, err := s.build()
			wantError(t, err, c.code, c.want...)
		})
	}
}

// A file that is copied and not there ends the plan.
func TestPlan_missingFile(t *testing.T) {
	s := newSite(t, [2]string{"a", short("FROM @alpine\nCOPY nothing /\n")})
	g, err := s.build()
	check(err)
	_, err = g.Plan(t.Context(), PlanOptions{})
	wantError(t, err, diag.MissingContextFile, "image a", "nothing")
}

// ONBUILD and ENV of a base count: of the graph's as their Dockerfiles make them, of others as the registry has them.
func TestNew_config(t *testing.T) {
	text := "FROM @%s\nRUN x\n"
	s := newSite(t,
		[2]string{"base", short("FROM @golang\nONBUILD COPY $DIR /\n")},
		[2]string{"inside", short(fmt.Sprintf(text, "base"))},
		[2]string{"outside", short(fmt.Sprintf(text, "trigger"))})
	s.outside("golang", "1", dockerfile.Config{Env: []string{"DIR=file"}})
	s.outside("trigger", "1", dockerfile.Config{OnBuild: []string{"ADD file /"}})
	s.options.Store = cas.Open(t.TempDir())
	for round := range 2 {
		s.fake.reset()
		g, err := s.build()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"inside", "outside"} {
			r := g.Find(name).Variants[0].Reach
			if len(r.Files) != 1 || r.Files[0].Path != "file" || len(r.Unknown) > 0 {
				t.Errorf("%s: %+v", name, r)
			}
		}
		want := "head 0, get 2, blob 2"
		if round > 0 {
			want = "head 2, get 0, blob 0"
		}
		if got := fmt.Sprintf("head %d, get %d, blob %d", s.fake.count("HEAD"), s.fake.count("GET"), s.fake.count("BLOB")); got != want {
			t.Errorf("round %d: %s, want %s", round, got, want)
		}
	}
	s.options.Store = nil
	g, err := New(t.Context(), s.specs, Options{}) // nobody to ask
	if err != nil || len(g.Find("outside").Unknown) == 0 || len(g.Find("inside").Unknown) == 0 {
		t.Error(g, err)
	}
}

// Docker Hub's names are one, however they are written; several images share the tag of an index.
func TestNew_names(t *testing.T) {
	s := newSite(t, [2]string{"a", "FROM scratch\n"}, [2]string{"b", "FROM scratch\n"}, [2]string{"c", "FROM base\nCOPY --from=docker.io/library/base:latest / /\n"})
	for k := range 2 {
		s.specs[k].Platforms, s.specs[k].SharedTags = bothPlatforms[k:k+1], []string{"index.docker.io/base"}
	}
	s.specs[2].Platforms = bothPlatforms
	g, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	c := g.Find("c")
	if len(c.Parents) != 2 || c.Variants[0].Parents[0].Image != g.Find("a") || c.Variants[1].Parents[0].Image != g.Find("b") {
		t.Errorf("%+v", c.Variants)
	}
	s.specs[1].Platforms = s.specs[0].Platforms
	_, err = s.build()
	wantError(t, err, diag.DoubleTag, "index.docker.io/base", "linux/amd64")
}

// The images of many Dockerfiles are parsed once.
func TestNew_onlyOnce(t *testing.T) {
	s := newSite(t, [2]string{"a", short("FROM @alpine\n")})
	for k := range 30 {
		spec := s.specs[0]
		spec.Name, spec.Tags = fmt.Sprint("a", k), []string{fmt.Sprint("registry.test/a:x", k)}
		s.specs = append(s.specs, spec)
	}
	s.fake.reset()
	if _, err := s.build(); err != nil {
		t.Fatal(err)
	}
	for question, times := range s.fake.asked {
		if times > 1 {
			t.Errorf("%s was asked %d times", question, times)
		}
	}
}

// A context that has its own ignore file is not that of another Dockerfile in the folder.
func TestNew_ignoreFiles(t *testing.T) {
	s := newSite(t, [2]string{"a", short("FROM @alpine\nCOPY . /\n")})
	s.write("a/Other", short("FROM @alpine\nCOPY . /\n"))
	s.write("a/Other.dockerignore", "file\n")
	other := s.specs[0]
	other.Name, other.Tags, other.Dockerfile = "other", []string{"registry.test/other:1"}, filepath.Join(s.dir, "a/Other")
	s.specs = append(s.specs, other)
	s.run(s.mustPlan())
	s.write("a/file", "new")
	s.want(planned(s.mustPlan()), "a")
}

func TestChoose(t *testing.T) {
	index := func(names ...string) *image.Index {
		x := &image.Index{}
		for _, n := range names {
			p, err := dockerfile.ParsePlatform(n, dockerfile.Platform{})
			check(err)
			if v, ok := strings.CutPrefix(n, "raw:"); ok {
				parts := strings.Split(v, "/")
				p = dockerfile.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
			}
			x.Manifests = append(x.Manifests, image.Descriptor{
				MediaType: image.OCIManifest, Digest: cas.Digest(n),
				Platform: &image.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, OSVersion: p.OSVersion},
			})
		}
		return x
	}
	all := index("linux/amd64", "linux/arm64", "linux/arm/v6", "linux/arm/v7", "linux/386", "linux/amd64/v2",
		"windows(10.0.17763.1)/amd64", "windows(10.0.20348.2)/amd64", "unknown/unknown", "linux/arm64/v8.1", "linux/arm64/v9")
	for want, got := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/amd64/v3": "linux/amd64/v2", "linux/arm64/v8": "linux/arm64", "linux/arm": "linux/arm/v7",
		"linux/arm64/v8.3": "linux/arm64/v8.1", "linux/arm64/v9.2": "linux/arm64/v9", "linux/arm64/v8.1": "linux/arm64/v8.1",
		"linux/arm/v8": "linux/arm/v7", "linux/arm/v5": "", "linux/386": "linux/386", "linux/s390x": "",
		"windows(10.0.20348)/amd64": "windows(10.0.20348.2)/amd64", "windows/amd64": "root", "windows(10.0.9)/amd64": "",
	} {
		p, err := dockerfile.ParsePlatform(want, dockerfile.Platform{})
		check(err)
		if d, _ := platform.Choose("root", all, p); string(d) != got {
			t.Errorf("%s: %s, want %s", want, d, got)
		}
	}
	all.Manifests = append(all.Manifests, image.Descriptor{MediaType: image.OCIManifest, Digest: "any"})
	if d, ok := platform.Choose("root", all, dockerfile.Platform{OS: "linux", Architecture: "s390x"}); !ok || d != "any" {
		t.Errorf("one without a platform is not taken: %s", d)
	}
	if d, _ := platform.Choose("root", all, dockerfile.Platform{OS: "linux", Architecture: "arm64"}); d != "linux/arm64" {
		t.Errorf("one without a platform goes before one that has it: %s", d)
	}
	twice := index("linux/amd64", "linux/amd64")
	if d, _ := platform.Choose("root", twice, dockerfile.Platform{OS: "linux", Architecture: "amd64"}); d != "linux/amd64" {
		t.Errorf("one image that is named twice: %s", d)
	}
	one := index("linux/arm/v7")
	one.Manifests[0].Platform = &image.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"} // as Docker Hub writes it
	if _, ok := platform.Choose("root", one, dockerfile.Platform{OS: "linux", Architecture: "arm64"}); !ok || !slices.Contains([]string{"linux/arm64"}, platforms(one)) {
		t.Error(platforms(one))
	}
}
