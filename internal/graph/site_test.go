package graph

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// site is a list of images with a Dockerfile each, and a registry that has images outside.
type site struct {
	*testing.T
	dir     string
	fake    *fake
	specs   []imagelist.Spec
	options Options
	plan    PlanOptions
	records memory
}

// memory is a Records.
type memory struct {
	mu    sync.Mutex
	lines map[string][]sourcehash.Line
	asked []string
}

func (m *memory) Recorded(_ context.Context, i *Image) ([]sourcehash.Line, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, i.Spec.Name)
	return m.lines[i.Spec.Name], nil
}

// newSite reads a Dockerfile for each image: its name, and its text. NAME is short for registry.test/NAME:1.
func newSite(t *testing.T, dockerfiles ...[2]string) *site {
	t.Helper()
	s := &site{T: t, dir: t.TempDir(), fake: newFake(), records: memory{lines: map[string][]sourcehash.Line{}}}
	for _, d := range dockerfiles {
		s.add(d[0], d[1])
	}
	s.outside("alpine", "1", dockerfile.Config{})
	s.outside("golang", "1", dockerfile.Config{})
	return s
}

func (s *site) add(name, text string) *imagelist.Spec {
	s.Helper()
	dir := filepath.Join(s.dir, name)
	s.specs = append(s.specs, imagelist.Spec{
		Name: name, Origin: "list:" + name, Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"),
		Platforms: []string{"linux/amd64"}, Tags: []string{"registry.test/" + name + ":1"}, Args: map[string]*string{},
	})
	s.write(name+"/Dockerfile", text)
	s.write(name+"/file", "file of "+name)
	return &s.specs[len(s.specs)-1]
}

func (s *site) spec(name string) *imagelist.Spec {
	return &s.specs[slices.IndexFunc(s.specs, func(x imagelist.Spec) bool { return x.Name == name })]
}

func (s *site) write(name, text string) {
	path := filepath.Join(s.dir, name)
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	check(os.WriteFile(path, []byte(text), 0o644))
}

func (s *site) outside(name, content string, config dockerfile.Config) {
	s.fake.push(reference(s, "registry.test/"+name+":1"), makeImage(map[string]string{"linux/amd64": name + content}, config))
}

// short is for people: registry.test/NAME:1 is @NAME in Dockerfiles.
func short(text string) string {
	var b strings.Builder
	for k, part := range strings.Split(text, "@") {
		if k > 0 {
			name := part[:strings.IndexFunc(part+"\n", func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') })]
			part = "registry.test/" + name + ":1" + part[len(name):]
		}
		b.WriteString(part)
	}
	return b.String()
}

func (s *site) build() (*Graph, error) {
	o := s.options
	o.Registry, o.Files = s.fake, buildcontext.NewStore("")
	return New(context.Background(), s.specs, o)
}

func (s *site) mustGraph() *Graph {
	s.Helper()
	g, err := s.build()
	if err != nil {
		s.Fatal(err)
	}
	return g
}

func (s *site) mustPlan() *Plan {
	s.Helper()
	g := s.mustGraph()
	o := s.plan
	o.Records = &s.records
	p, err := g.Plan(context.Background(), o)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// run builds all that is planned and returns it in order. The bytes of an image are those of its hash.
func (s *site) run(p *Plan) []string {
	s.Helper()
	var names []string
	for again := true; again; {
		again = false
		for k := range p.Steps {
			step := &p.Steps[k]
			if step.Decision != Build || step.Hash == "" {
				continue
			}
			again = true
			lines, err := p.Lines(context.Background(), step.Image)
			if err != nil || sourcehash.Hash(lines) != step.Hash {
				s.Fatal(step.Hash, err)
			}
			name := step.Image.Spec.Name
			s.records.lines[name] = sourcehash.Seal(lines)
			names = append(names, name)
			digest := s.push(step, string(step.Hash))
			if _, err := p.Built(context.Background(), step.Image, digest); err != nil {
				s.Fatal(err)
			}
		}
	}
	return names
}

// push makes an image with a content and gives it the source tag.
func (s *site) push(step *Step, content string) cas.Digest {
	texts := map[string]string{}
	for _, v := range step.Image.Variants {
		texts[v.Platform.String()] = content
	}
	m := makeImage(texts, dockerfile.Config{})
	s.fake.push(reference(s, step.Tag), m)
	return m.root
}

func (s *site) want(got []string, want ...string) {
	s.Helper()
	if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
		s.Error(d)
	}
}

// reasons are those of an image, as "kind name".
func reasonsOf(p *Plan, name string) []string {
	var list []string
	for _, r := range p.Step(p.graph.Find(name)).Reasons {
		list = append(list, strings.TrimSpace(r.Kind+" "+r.Name))
	}
	return list
}

// wantError wants one error with a code and texts.
func wantError(t *testing.T, err error, code diag.Code, texts ...string) {
	t.Helper()
	if err == nil || diag.CodeOf(err) != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in: %v", text, err)
		}
	}
}

var errDown = diag.Wrap(diag.RegistryUnreachable, errors.New("connection refused"), "no connection", "run again").AsRetryable()

var errDenied = diag.Wrap(diag.RepositoryForbidden, &registry.StatusError{StatusCode: 403}, "denied", "log in")
