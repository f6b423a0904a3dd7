package graph

import (
	"context"
	"flag"
	"os/exec"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
)

const mutationsPerGraph = 100

// TestPlan_oracle changes random graphs in random ways and compares what a plan builds with what a reference says that compares everything:
// nothing is missed, and nothing is built in vain. rapid runs it a hundred times. The race detector makes that six times as long and looks for
// something else: ten times are with it, and the hundred without it.
func TestPlan_oracle(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // thousands of short runs
	if checks := flag.Lookup("rapid.checks"); underRace && checks.Value.String() == checks.DefValue {
		testenv.Require(t, "go")
		cmd := exec.CommandContext(t.Context(), "go", "test", "-race=false", "-count=1", "-timeout=25m", "-vet=off", "-run=^TestPlan_oracle$", ".")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("without the race detector: %v\n%s", err, out)
		}
		check(checks.Value.Set("10"))
		defer func() { check(checks.Value.Set(checks.DefValue)) }()
	}
	mutations, builds := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		f := newFake()
		f.page = rapid.IntRange(1, 5).Draw(t, "page")
		w := &world{dir: scratchDir(t), host: "registry.test", push: f.push}
		r := &runner{t: t, w: w, registry: f}
		draw(t, w)
		r.step("the first", nil)
		for range mutationsPerGraph {
			k := rapid.IntRange(0, len(w.images)-1).Draw(t, "image")
			c := rapid.SampledFrom(changes).Draw(t, "change")
			f.reset()
			r.step(c.name, c.do(t, w, w.images[k], k))
			for question, times := range f.asked {
				if times > 2 { // one in the graph and one in the plan of a rebuild elsewhere
					t.Fatalf("%s was asked %d times", question, times)
				}
			}
			mutations++
		}
		builds += r.builds
	})
	t.Logf("%d mutations, %d builds", mutations, builds)
}

// fatal is what runner needs of a test.
type fatal interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

type runner struct {
	t        fatal
	w        *world
	registry Registry
	store    *cas.Store
	builds   int
}

func (r *runner) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// step plans, builds and compares. again is an image that is built although nothing of it changed, in this run or, in every second one, by
// somebody else before it.
func (r *runner) step(change string, again *subject) {
	r.t.Helper()
	ctx := context.Background()
	g, err := New(ctx, r.w.specs(), Options{Registry: r.registry, Store: r.store, Files: buildcontext.NewStore("")})
	r.check(err)
	opt := PlanOptions{}
	first := r.w.first()
	if again != nil {
		key := r.w.everything(again)
		m := r.w.make(again, key)
		r.w.built[key] = m
		i := g.Find(again.name)
		if again.again%2 == 0 {
			opt.Forced = map[*Image]string{i: "it is wanted"}
			first = withDescendants(first, i)
		} else {
			p, err := g.Plan(ctx, PlanOptions{Only: []*Image{i}})
			r.check(err)
			r.push(p.Step(i).Tag, m)
			first = r.w.first()
		}
	}
	p, err := g.Plan(ctx, opt)
	r.check(err)
	if d := cmp.Diff(first, planned(p)); d != "" {
		r.t.Fatalf("after %s the plan is wrong (- reference, + plan):\n%s", change, d)
	}
	want := r.w.settle()
	if opt.Forced != nil && !slices.Contains(want, again.name) {
		want = append(want, again.name)
		slices.Sort(want)
	}
	if d := cmp.Diff(want, r.build(p)); d != "" {
		r.t.Fatalf("after %s the builds are wrong (- reference, + plan):\n%s", change, d)
	}
	if left := planned(p); len(left) > 0 {
		r.t.Fatalf("after %s these are left: %v", change, left)
	}
}

func (r *runner) push(tag string, m *made) {
	r.t.Helper()
	ref, err := registry.ParseReference(tag)
	r.check(err)
	r.w.push(ref, m)
}

// build does what the plan says, in its order, and returns what was built.
func (r *runner) build(p *Plan) []string {
	r.t.Helper()
	var names []string
	for progress := true; progress; {
		progress = false
		for k := range p.Steps {
			s := &p.Steps[k]
			if s.Decision != Build || s.Hash == "" {
				continue
			}
			if len(s.Reasons) == 0 {
				r.t.Fatalf("%s is built without a reason", s.Image.Spec.Name)
			}
			name := s.Image.Spec.Name
			at := slices.IndexFunc(r.w.images, func(x *subject) bool { return x.name == name })
			m := r.w.current[r.w.images[at]]
			r.checkPins(s)
			r.push(s.Image.Spec.Tags[0], m)
			r.push(s.Tag, m)
			_, err := p.Built(context.Background(), s.Image, m.root)
			r.check(err)
			names, progress = append(names, name), true
			r.builds++
		}
	}
	slices.Sort(names)
	return names
}

// checkPins compares the pins with what the parents are.
func (r *runner) checkPins(s *Step) {
	r.t.Helper()
	at := slices.IndexFunc(r.w.images, func(x *subject) bool { return x.name == s.Image.Spec.Name })
	subject := r.w.images[at]
	want := map[string]string{}
	for _, n := range subject.needs() {
		m := r.w.made(n)
		ref, err := registry.ParseReference(r.w.ref(n))
		r.check(err)
		digest := m.root
		if len(subject.platforms) == 1 {
			digest = m.platforms[subject.platforms[0]]
		}
		want[ref.String()] = ref.Name.String() + "@" + string(digest)
	}
	if d := cmp.Diff(want, s.Pins); d != "" {
		r.t.Fatalf("the pins of %s are wrong:\n%s", subject.name, d)
	}
}

func planned(p *Plan) []string {
	var names []string
	for _, s := range p.Steps {
		if s.Decision == Build {
			names = append(names, s.Image.Spec.Name)
		}
	}
	slices.Sort(names)
	return names
}

// withDescendants adds an image and all that reach it.
func withDescendants(names []string, i *Image) []string {
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
	}
	var add func(i *Image)
	add = func(i *Image) {
		seen[i.Spec.Name] = true
		for _, c := range i.Children {
			add(c)
		}
	}
	add(i)
	var all []string
	for n := range seen {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}
