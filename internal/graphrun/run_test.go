package graphrun

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// site is a graph: left and right are built from root, leaf from both, alone from nothing.
type site struct {
	t      *testing.T
	dir    string
	reg    *testenv.Registry
	proxy  *testenv.Proxy
	client *registry.Client
	// content is what a build makes of an image, where it is not what its file says.
	content map[string]string
	fails   map[string]bool
	during  func(name string)
	// attested pushes each image as an index with an attestation, as buildx does.
	attested bool
	parallel int // 0 is 2
	only     []string
	shared   map[string][]string // shared tags by image
	more     map[string][]string // more tags of its own, which Build does not push
	platform map[string]string   // linux/amd64 where it is not said
	graph    *graph.Graph
	plan     *graph.Plan

	mu         sync.Mutex
	now, most  int
	built      []string
	pins       map[string]map[string]string
	outcomes   map[string]Outcome
	lastEvents []Event
}

func newSite(t *testing.T) *site {
	reg := testenv.StartRegistry(t)
	s := &site{t: t, dir: t.TempDir(), reg: reg, proxy: testenv.StartProxy(t, reg), content: map[string]string{}, fails: map[string]bool{}}
	s.client = registry.New(registry.Options{Sleep: noSleep})
	for name, from := range map[string]string{
		"root": "scratch", "left": s.ref("root"), "right": s.ref("root"), "leaf": s.ref("left") + "\nCOPY --from=" + s.ref("right") + " /etc/passwd /", "alone": "scratch",
	} {
		s.write(name, "Dockerfile", "FROM "+from+"\nCOPY f /\n")
		s.write(name, "f", "1")
	}
	return s
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func (s *site) ref(name string) string { return s.proxy.Reference("team/"+name, "1") }

func (s *site) write(image, file, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, image, file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		s.t.Fatal(err)
	}
}

// Build makes a small image of the file and of the parents, and pushes it.
func (s *site) Build(ctx context.Context, j *Job) (*Made, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.built = append(s.built, j.Spec.Name)
	s.pins[j.Spec.Name] = j.Pins
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	if s.during != nil {
		s.during(j.Spec.Name)
	}
	if s.fails[j.Spec.Name] {
		return nil, diag.New(diag.BuildFailed, "it fails", "")
	}
	seed, err := os.ReadFile(filepath.Join(j.Spec.Context, "f"))
	if err != nil {
		return nil, err
	}
	if s.content[j.Spec.Name] != "" {
		seed = []byte(s.content[j.Spec.Name])
	}
	system, architecture, _ := strings.Cut(j.Platforms[0], "/")
	base, err := basemaker.Tiny(basemaker.TinyOptions{
		Layers: 1, Seed: fmt.Sprint(j.Spec.Name, string(seed), j.Pins), Platforms: []basemaker.Platform{{OS: system, Architecture: architecture}},
	})
	if err != nil {
		return nil, err
	}
	if s.attested {
		index, all, err := basemaker.Attested(base)
		if err != nil {
			return nil, err
		}
		return &Made{Digest: cas.Digest(index.Digest)}, s.reg.Target().PushIndex(ctx, "team/"+j.Spec.Name, "1", index, all)
	}
	return &Made{Digest: cas.Digest(base.Top.Digest)}, s.reg.Target().PushImage(ctx, "team/"+j.Spec.Name, "1", base.Images[0])
}

// graphOf makes the graph of the files as they are.
func (s *site) graphOf(t *testing.T) graph.Options {
	t.Helper()
	var specs []imagelist.Spec
	for _, name := range []string{"leaf", "right", "left", "root", "alone"} {
		specs = append(specs, imagelist.Spec{
			Name: name, Origin: "list", Context: filepath.Join(s.dir, name), Dockerfile: filepath.Join(s.dir, name, "Dockerfile"),
			Platforms: []string{cmp.Or(s.platform[name], "linux/amd64")}, Tags: append([]string{s.ref(name)}, s.more[name]...), SharedTags: s.shared[name],
		})
	}
	opt := graph.Options{Registry: graph.Remote{Client: s.client}}
	var err error
	s.graph, err = graph.New(t.Context(), specs, opt)
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// run plans and runs.
func (s *site) run(ctx context.Context, force ...string) error {
	s.t.Helper()
	s.built, s.pins, s.outcomes, s.most, s.lastEvents = nil, map[string]map[string]string{}, map[string]Outcome{}, 0, nil
	opt := s.graphOf(s.t)
	g := s.graph
	state := graphstate.New(graphstate.Options{
		Open:  func(n registry.Name, m registry.Mode) graphstate.Repository { return s.client.Repository(n, m) },
		Sleep: noSleep,
	})
	forced := map[*graph.Image]string{}
	for _, name := range force {
		forced[g.Find(name)] = "asked for"
	}
	var only []*graph.Image
	for _, name := range s.only {
		only = append(only, g.Find(name))
	}
	plan, err := g.Plan(ctx, graph.PlanOptions{Only: only, Forced: forced, Records: Recorder{state}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.plan = plan
	results, err := Run(ctx, Options{
		Plan: plan, Graph: opt, State: state, Builder: s, Parallel: cmp.Or(s.parallel, 2), Dir: s.t.TempDir(),
		Watch: func(e Event) { s.lastEvents = append(s.lastEvents, e) },
	})
	for _, r := range results {
		s.outcomes[r.Image] = r.Outcome
	}
	return err
}

func (s *site) want(outcomes map[string]Outcome) {
	s.t.Helper()
	if !maps.Equal(s.outcomes, outcomes) {
		s.t.Fatalf("got %v, want %v", s.outcomes, outcomes)
	}
	if s.most > 2 {
		s.t.Errorf("%d builds at once", s.most)
	}
}

func TestRun(t *testing.T) {
	s := newSite(t)
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{"root": Built, "left": Built, "right": Built, "leaf": Built, "alone": Built})
	for _, edge := range [][2]string{{"root", "left"}, {"root", "right"}, {"left", "leaf"}, {"right", "leaf"}} {
		if slices.Index(s.built, edge[0]) > slices.Index(s.built, edge[1]) {
			t.Errorf("%s was built after %s", edge[0], edge[1])
		}
		_, digest, _ := s.reg.Manifest("team/"+edge[0], "1")
		if got, want := s.pins[edge[1]][s.ref(edge[0])], s.proxy.Reference("team/"+edge[0], digest); got != want {
			t.Errorf("%s was built from %s, want %s", edge[1], got, want)
		}
	}
	last := s.lastEvents[len(s.lastEvents)-1]
	if len(s.lastEvents) != 10 || last.Done != 5 || last.Total != 5 {
		t.Errorf("%d events, the last %+v", len(s.lastEvents), last)
	}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{})

	// root becomes another by a change that one child's build does not show: the cascade ends there for what rests on that child alone.
	s.write("left", "f", "2")
	s.write("right", "f", "2")
	s.content["left"], s.content["right"] = "1", "1"
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{"left": Built, "right": Built, "leaf": Cut})
	if err := s.run(t.Context(), "root"); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{"root": Built, "left": Cut, "right": Cut, "leaf": Cut})
}

func TestRun_failure(t *testing.T) {
	s := newSite(t)
	s.fails["left"] = true
	err := s.run(t.Context())
	if diag.CodeOf(err) != diag.BuildFailed || diag.ExitCode(err) != diag.ExitFailed || !strings.Contains(err.Error(), "1 of 5 images failed: left; 1 that") {
		t.Errorf("got %v", err)
	}
	s.want(map[string]Outcome{"root": Built, "left": Failed, "right": Built, "leaf": Waiting, "alone": Built})
	s.fails["left"] = false
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{"left": Built, "leaf": Built})

	// A file that changes while its image is built: it is not stamped, and so are its descendants.
	s.write("root", "f", "2")
	s.during = func(name string) {
		if name == "root" {
			s.write("root", "f", "3")
		}
	}
	err = s.run(t.Context())
	if diag.CodeOf(err) != diag.BuildFailed || slices.ContainsFunc(s.lastEvents, func(e Event) bool { return e.Outcome == Built }) {
		t.Errorf("got %v, %+v", err, s.lastEvents)
	}
	s.want(map[string]Outcome{"root": Failed, "left": Waiting, "right": Waiting, "leaf": Waiting})
}

// TestRun_attested: an image that is an index for one platform, with an attestation beside it, counts by the platform's manifest, in hashes
// and as what its children are given.
func TestRun_attested(t *testing.T) {
	s := newSite(t)
	s.attested = true
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{"root": Built, "left": Built, "right": Built, "leaf": Built, "alone": Built})
	mediaType, digest, body := s.reg.Manifest("team/root", "1")
	x, err := image.ParseIndex(body, mediaType)
	if err != nil || len(x.Manifests) != 2 {
		t.Fatalf("got %+v, %v", x, err)
	}
	if got, want := s.pins["left"][s.ref("root")], s.proxy.Reference("team/root", string(x.Manifests[0].Digest)); got != want {
		t.Errorf("left was built from %s, want %s of %s", got, want, digest)
	}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{})
	// The index moves and the platform's image does not: nothing that is built from it is built again.
	s.attested = false
	if err := s.run(t.Context(), "root"); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{"root": Built, "left": Cut, "right": Cut, "leaf": Cut})
}

// TestRun_otherPlatform: a parent that is for one platform alone is read by an image for another one, also where it is an index with
// attestations: what the plan takes for it is what the stamp compares.
func TestRun_otherPlatform(t *testing.T) {
	s := newSite(t)
	s.attested, s.only, s.platform = true, []string{"alone"}, map[string]string{"alone": "linux/arm64"}
	s.write("alone", "Dockerfile", "FROM "+s.ref("root")+"\nCOPY f /\n")
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{"root": Built, "alone": Built})
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{})
}

// A parent that cannot be known has no source tag; its first tag is what its children are held to, whichever of its tags they name.
func TestRun_unknownElsewhere(t *testing.T) {
	s := newSite(t)
	other := s.proxy.Reference("team/elsewhere", "9")
	s.more, s.only = map[string][]string{"root": {other}}, []string{"left"}
	s.write("root", "Dockerfile", "FROM scratch\nADD http://127.0.0.1:1/x /\nCOPY f /\n")
	s.write("left", "Dockerfile", "FROM "+other+"\nCOPY f /\n")
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.want(map[string]Outcome{"root": Built, "left": Built})
}

// TestRun_meanwhile: another machine builds and stamps the same image to other bytes while this one builds it. What was stamped first counts
// for both, so that no child is built from what no tag names.
func TestRun_meanwhile(t *testing.T) {
	s := newSite(t)
	var other *site
	s.during = func(name string) {
		if name != "root" || other != nil {
			return
		}
		other = &site{
			t: t, dir: s.dir, reg: s.reg, proxy: s.proxy, client: s.client, content: map[string]string{"root": "theirs"}, fails: map[string]bool{"left": true, "right": true},
		}
		if err := other.run(t.Context()); diag.CodeOf(err) != diag.BuildFailed {
			t.Errorf("got %v", err)
		}
	}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	delete(s.outcomes, "alone") // which may have been built by either
	s.want(map[string]Outcome{"root": Cut, "left": Built, "right": Built, "leaf": Built})
	if other.outcomes["root"] != Built {
		t.Errorf("got %v", other.outcomes)
	}
	src := slices.DeleteFunc(s.reg.Tags("team/root"), func(tag string) bool { return !strings.HasPrefix(tag, "src-") })
	if len(src) != 1 {
		t.Fatalf("got %q", src)
	}
	_, theirs, _ := s.reg.Manifest("team/root", src[0])
	if got, want := s.pins["left"][s.ref("root")], s.proxy.Reference("team/root", theirs); got != want {
		t.Errorf("left was built from %s, want %s", got, want)
	}
	// What another machine stamped before the build began is not built at all; what is forced is.
	s.write("alone", "f", "2")
	s.during = func(name string) {
		if name == "root" {
			other.fails = map[string]bool{}
			if err := other.run(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	s.parallel = 1
	if err := s.run(t.Context(), "root"); err != nil {
		t.Fatal(err)
	}
	if s.outcomes["root"] != Built || s.outcomes["alone"] != Cut || slices.Contains(s.built, "alone") || !slices.Contains(other.built, "alone") {
		t.Errorf("got %v, built %q, and elsewhere %q", s.outcomes, s.built, other.built)
	}
}

func TestRun_interrupted(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.during = func(name string) {
		if name == "left" {
			cancel()
		}
	}
	err := s.run(ctx)
	if diag.CodeOf(err) != diag.Interrupted {
		t.Errorf("got %v", err)
	}
	if s.outcomes["leaf"] != Waiting || s.outcomes["root"] != Built || s.outcomes["left"] != Waiting {
		t.Errorf("got %v", s.outcomes)
	}
}

// TestRun_outage ends the run when the registry does not answer any more: what is not proved is not stamped.
func TestRun_outage(t *testing.T) {
	s := newSite(t)
	s.during = func(name string) {
		if name == "left" {
			s.proxy.Inject(testenv.Times(1_000_000, "", "", testenv.Fault{Status: 503}))
		}
	}
	err := s.run(t.Context())
	if err == nil || diag.ExitCode(err) != diag.ExitRetryable {
		t.Errorf("got %v", err)
	}
	if s.outcomes["left"] == Built || s.outcomes["leaf"] != Waiting {
		t.Errorf("got %v", s.outcomes)
	}
	for _, tag := range s.reg.Tags("team/left") {
		if strings.HasPrefix(tag, "src-") {
			t.Errorf("left has the tag %s", tag)
		}
	}
}
