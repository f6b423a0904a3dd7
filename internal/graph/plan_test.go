package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
)

// The base of the final stage is the same; the image of the stage that it copies from is not.
func TestPlan_intermediateStage(t *testing.T) {
	t.Run("without a store", func(t *testing.T) { intermediateStage(t, nil) })
	t.Run("with a store", func(t *testing.T) { intermediateStage(t, cas.Open(t.TempDir())) })
}

func intermediateStage(t *testing.T, store *cas.Store) {
	s := newSite(t,
		[2]string{"sdk", short("FROM @golang\nCOPY file /\n")},
		[2]string{"app", short("FROM @sdk AS build\nRUN make\nFROM @alpine\nCOPY --from=build /out /\n")},
		[2]string{"scratch", short("FROM @golang AS build\nFROM scratch\nCOPY --from=build /out /\n")},
		[2]string{"other", short("FROM @alpine\nRUN x\n")})
	s.options.Store = store
	s.want(s.run(s.mustPlan()), "sdk", "app", "scratch", "other")
	s.want(planned(s.mustPlan()))
	s.outside("golang", "2", dockerfile.Config{})
	p := s.mustPlan()
	s.want(planned(p), "app", "scratch", "sdk")
	s.want(reasonsOf(p, "sdk"), "parent registry.test/golang:1")
	s.want(reasonsOf(p, "scratch"), "parent registry.test/golang:1")
	s.want(reasonsOf(p, "app"), "parent-planned sdk")
	s.want(s.run(p), "sdk", "app", "scratch")
	s.write("sdk/file", "new")
	p = s.mustPlan()
	s.want(reasonsOf(p, "sdk"), "file file")
	s.want(s.run(p), "sdk", "app")
	s.want(planned(s.mustPlan()))
}

// Each of six parents cascades: two bases of stages, two that are copied from, a mount, a named context.
func TestPlan_sixParents(t *testing.T) {
	s := newSite(t)
	names := []string{"os", "lang", "tools", "certs", "cache", "extra"}
	for _, n := range names {
		s.add(n, short("FROM @alpine\nCOPY file /\n"))
	}
	s.add("combination", short("FROM @lang AS build\nRUN --mount=from=registry.test/cache:1,target=/c make\nFROM @os\nCOPY --from=build /o /\n"+
		"COPY --from=@tools /t /\nCOPY --from=@certs /c /\nCOPY --from=more /e /\n"))
	s.spec("combination").Contexts = map[string]string{"more": "target:extra"}
	s.run(s.mustPlan())
	for _, n := range names {
		s.write(n+"/file", "changed")
		p := s.mustPlan()
		s.want(reasonsOf(p, "combination"), "parent-planned "+n)
		if w := p.Step(p.graph.Find("combination")).Wave; w != 1 {
			t.Errorf("wave %d", w)
		}
		s.want(s.run(p), n, "combination")
	}
	s.want(planned(s.mustPlan()))
}

func TestPlan_reasons(t *testing.T) {
	text := "# syntax=registry.test/docker/dockerfile:1\nFROM @alpine\nARG MODE\nCOPY file /\nRUN one\n"
	s := newSite(t, [2]string{"app", short(text)})
	s.outside("docker/dockerfile", "1", dockerfile.Config{})
	p := s.mustPlan()
	s.want(reasonsOf(p, "app"), "new")
	s.run(p)
	p = s.mustPlan()
	s.want(reasonsOf(p, "app"), "same")
	for _, c := range []struct {
		do   func()
		want []string
		text string
	}{
		{func() { s.write("app/file", "x") }, []string{"file file"}, "file file changed from -rw-r--r-- sha256:"},
		{func() { v := "fast"; s.spec("app").Args["MODE"] = &v }, []string{"argument MODE"}, "argument MODE changed"},
		{func() { s.spec("app").Options = map[string]string{"labels": `{"a":"b"}`} }, []string{"argument labels"}, "argument labels is new"},
		{func() { s.spec("app").Platforms = bothPlatforms }, []string{"platform linux/arm64"}, "platform linux/arm64 is new"},
		{
			func() { s.spec("app").Platforms = bothPlatforms[:1]; s.write("app/file", "y") },
			[]string{"platform linux/arm64", "file file"},
			"platform linux/arm64 is gone",
		},
		{func() { s.write("app/Dockerfile", short(strings.Replace(text, "one", "two", 1))) }, []string{"instruction RUN"}, "instruction RUN changed"},
		{func() { s.outside("alpine", "2", dockerfile.Config{}) }, []string{"parent registry.test/alpine:1"}, "parent registry.test/alpine:1 for linux/amd64 changed from sha256:"},
		{func() { s.outside("docker/dockerfile", "2", dockerfile.Config{}) }, []string{"frontend registry.test/docker/dockerfile:1"}, "frontend"},
		{func() { s.fake.repository(reference(t, "registry.test/app:1").Name).tags = map[string]cas.Digest{} }, []string{"new"}, "is not there"},
	} {
		c.do()
		s.records.asked = nil
		p := s.mustPlan()
		s.want(reasonsOf(p, "app"), c.want...)
		s.want(s.records.asked, "app")
		if got := p.Steps[0].Reasons[0].Text; !strings.Contains(got, c.text) {
			t.Errorf("%q is not in %q", c.text, got)
		}
		s.run(p)
	}
	s.records.asked = nil
	s.mustPlan()
	s.want(s.records.asked) // nothing is planned, nobody is asked
}

// A root that is built again to the same digest is the only one; to another digest, its children follow.
func TestPlan_cut(t *testing.T) {
	s := newSite(t,
		[2]string{"root", short("FROM @alpine\nCOPY file /\n")},
		[2]string{"middle", short("FROM @root\nRUN x\n")},
		[2]string{"leaf", short("FROM @middle\nRUN x\n")})
	s.run(s.mustPlan())
	s.write("root/file", "changed")
	p := s.mustPlan()
	s.want(planned(p), "leaf", "middle", "root")
	root := p.Step(p.graph.Find("root"))
	old, _ := s.fake.repository(reference(t, root.Tag).Name).find("src-" + lastHash(s, "root"))
	steps, err := p.Built(context.Background(), root.Image, old.Digest)
	if err != nil || len(steps) != 2 {
		t.Fatal(steps, err)
	}
	s.want(planned(p))

	g := p.graph
	s.push(root, "other bytes") // by somebody else, after the plan
	p, err = g.Plan(context.Background(), PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.want(planned(p), "leaf", "middle")
	p, err = g.Plan(context.Background(), PlanOptions{Forced: map[*Image]string{g.Find("middle"): "asked for"}, Built: map[*Image]cas.Digest{g.Find("root"): old.Digest}})
	if err != nil {
		t.Fatal(err)
	}
	s.want(planned(p), "leaf", "middle")
	s.want(reasonsOf(p, "middle"), "forced")
	s.want(reasonsOf(p, "root"), "built")
	p, err = g.Plan(context.Background(), PlanOptions{Only: []*Image{g.Find("middle")}, Built: map[*Image]cas.Digest{g.Find("root"): old.Digest}})
	if err != nil || len(p.Steps) != 2 || p.Step(g.Find("leaf")) != nil {
		t.Fatal(p, err)
	}
}

func lastHash(s *site, name string) string {
	for tag := range s.fake.repository(reference(s, "registry.test/"+name+":1").Name).tags {
		if hash, ok := strings.CutPrefix(tag, "src-"); ok {
			return hash
		}
	}
	return ""
}

// What is not known is always built, and so is what needs it.
func TestPlan_unknown(t *testing.T) {
	s := newSite(t,
		[2]string{"remote", short("FROM @alpine\nADD https://example.com/x /\n")},
		[2]string{"child", short("FROM @remote\n")},
		[2]string{"tagless", short("FROM @alpine\n")},
		[2]string{"git", "FROM scratch\n"},
		[2]string{"inline", "not read"})
	s.spec("tagless").Tags = nil
	s.spec("git").Context = "https://example.com/a/b.git"
	s.spec("inline").Inline, s.spec("inline").Dockerfile = short("FROM @alpine\nCOPY file /\n"), ""
	for range 2 {
		p := s.mustPlan()
		s.want(reasonsOf(p, "remote"), "unknown")
		s.want(reasonsOf(p, "child"), "parent-planned remote")
		s.want(reasonsOf(p, "tagless"), "unknown")
		s.want(reasonsOf(p, "git"), "unknown")
		s.run(p)
	}
	p := s.mustPlan()
	s.want(reasonsOf(p, "inline"), "same")
	steps, err := p.Built(context.Background(), p.graph.Find("remote"), s.push(&Step{Image: p.graph.Find("remote"), Tag: "registry.test/remote:1"}, "x"))
	if err != nil || len(steps) != 1 || steps[0].Hash == "" {
		t.Fatal(steps, err)
	}
	s.want(s.run(p), "child")
}

// What is not known counts as built where a job before built it and it is only a parent: its children are built from what its tag names, and
// skipped when they were.
func TestPlan_unknownBuilt(t *testing.T) {
	s := newSite(t,
		[2]string{"root", short("FROM @alpine\n")},
		[2]string{"remote", short("FROM @root\nADD https://example.com/x /\n")},
		[2]string{"child", short("FROM @remote\n")})
	plan := func(name string, forced ...string) *Plan {
		g := s.mustGraph()
		opt := PlanOptions{Records: &s.records, Only: []*Image{g.Find(name)}, UnknownBuilt: func(i *Image) bool { return i.Spec.Name != name }, Forced: map[*Image]string{}}
		for _, f := range forced {
			opt.Forced[g.Find(f)] = "asked for"
		}
		p, err := g.Plan(context.Background(), opt)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	push := func(content string) string {
		g := s.mustGraph()
		return string(s.push(&Step{Image: g.Find("remote"), Tag: "registry.test/remote:1"}, content))
	}
	s.want(s.run(plan("child")), "root")
	s.want(reasonsOf(plan("child"), "remote"), "unknown") // there is none
	push("by the job before")
	p := plan("child")
	s.want(reasonsOf(p, "remote"), "unknown-built")
	s.want(s.run(p), "child")
	s.want(reasonsOf(plan("child"), "child"), "same")
	s.want(reasonsOf(plan("remote"), "remote"), "unknown") // it is wanted itself
	s.want(reasonsOf(plan("child", "remote"), "remote"), "forced", "unknown")

	digest := push("by the job before, another time")
	p = plan("child")
	if pin := p.Step(p.graph.Find("child")).Pins["registry.test/remote:1"]; pin != "registry.test/remote@"+digest {
		t.Errorf("child is built from %q, want %s", pin, digest)
	}
	s.want(s.run(p), "child")

	s.write("root/Dockerfile", short("FROM @golang\n")) // remote was built from another root
	p = plan("child")
	s.want(reasonsOf(p, "remote"), "unknown", "parent-planned root")
	s.want(s.run(p), "root")
	s.want(reasonsOf(p, "remote"), "unknown") // it still was, now that root is built
}

// Whatever question fails, there is no plan.
func TestPlan_registryDown(t *testing.T) {
	s := newSite(t,
		[2]string{"root", short("FROM @alpine\n")},
		[2]string{"a", short("FROM @root\nCOPY --from=@golang /x /\n")},
		[2]string{"b", short("FROM @root\n")})
	for k := range 2 { // a repository of its own, whose tags are listed
		s.add(fmt.Sprint("many", k), short("FROM @root\nRUN "+fmt.Sprint(k)+"\n")).Tags = []string{fmt.Sprint("registry.test/many:", k)}
	}
	s.run(s.mustPlan())
	s.fake.reset()
	s.mustPlan()
	questions := s.fake.count("")
	if questions < 7 {
		t.Fatalf("%d questions", questions)
	}
	for fail := range questions {
		n := 0
		s.fake.fail = func(string, string) error {
			s.fake.mu.Lock()
			defer s.fake.mu.Unlock()
			if n++; n > fail {
				return errDown
			}
			return nil
		}
		g, err := s.build()
		if err == nil {
			_, err = g.Plan(context.Background(), PlanOptions{})
		}
		wantError(t, err, diag.RegistryUnreachable)
		if diag.ExitCode(err) != diag.ExitRetryable {
			t.Error(err)
		}
	}
}

// What the account may not see counts as absent where it would be made, and is an error where it is needed.
func TestPlan_denied(t *testing.T) {
	s := newSite(t, [2]string{"root", short("FROM @alpine\n")}, [2]string{"leaf", short("FROM @root\n")})
	s.run(s.mustPlan())
	s.fake.fail = func(_, ref string) error {
		if strings.HasPrefix(ref, "src-") {
			return errDenied
		}
		return nil
	}
	p := s.mustPlan()
	s.want(planned(p), "leaf", "root")
	if r := p.Steps[0].Reasons[0]; r.Kind != "unseen" || !strings.Contains(r.Text, "is not known: the registry answered 403 Forbidden") {
		t.Errorf("got %+v", r)
	}
	s.fake.fail = func(_, ref string) error {
		if ref == "1" {
			return errDenied
		}
		return nil
	}
	_, err := s.build()
	wantError(t, err, diag.RepositoryForbidden, "image root")
}

// Nobody asks what an image was made of whose own tag is not in the list of tags.
func TestPlan_listedRecords(t *testing.T) {
	s := newSite(t, [2]string{"root", short("FROM @alpine\n")})
	for k := range 3 {
		s.add(fmt.Sprint("tool", k), short(fmt.Sprintf("FROM @root\nRUN %d\n", k))).Tags = []string{fmt.Sprint("registry.test/tools:", k)}
	}
	asked := func(want ...string) *Plan {
		t.Helper()
		s.records.asked = nil
		p := s.mustPlan()
		slices.Sort(s.records.asked)
		s.want(s.records.asked, want...)
		return p
	}
	s.run(asked("root")) // of no tool: the repository is not there
	for k := range 2 {
		s.fake.push(reference(t, fmt.Sprint("registry.test/tools:", k)), makeImage(map[string]string{"linux/amd64": "built"}, dockerfile.Config{}))
	}
	asked()
	for k := range 3 {
		s.write(fmt.Sprintf("tool%d/Dockerfile", k), short(fmt.Sprintf("FROM @root\nRUN %d again\n", k)))
	}
	p := asked("tool0", "tool1")
	s.want(reasonsOf(p, "tool0"), "instruction RUN")
	s.want(reasonsOf(p, "tool2"), "new")
	s.fake.page = 1 // the list is not read to its end
	asked("tool0", "tool1", "tool2")
}

// Tags are listed where that takes fewer requests than asking for each.
func TestPlan_questions(t *testing.T) {
	s := newSite(t, [2]string{"root", short("FROM @alpine\n")})
	for k := range 24 {
		s.add(fmt.Sprint("tool", k), short(fmt.Sprintf("FROM @root\nRUN %d\n", k))).Tags = []string{fmt.Sprint("registry.test/tools:", k)}
	}
	s.add("single", short("FROM @root\n"))
	s.run(s.mustPlan())
	ask := func() string {
		s.fake.reset()
		if left := planned(s.mustPlan()); len(left) > 0 {
			t.Errorf("%v", left)
		}
		return fmt.Sprintf("tags %d, head %d, get %d, blob %d", s.fake.count("TAGS"), s.fake.count("HEAD"), s.fake.count("GET"), s.fake.count("BLOB"))
	}
	// root and alpine by GET; single by HEAD; alpine's configuration.
	for page, want := range map[int]string{
		1000: "tags 1, head 1, get 2, blob 1",
		8:    "tags 3, head 1, get 2, blob 1",
		4:    "tags 3, head 13, get 2, blob 1", // of six pages three are read, the others are asked for
	} {
		s.fake.page = page
		if got := ask(); got != want {
			t.Errorf("pages of %d: %s, want %s", page, got, want)
		}
	}
	s.fake.fail = func(verb, _ string) error {
		if verb == "TAGS" {
			return errDenied
		}
		return nil
	}
	if got := ask(); got != "tags 1, head 25, get 2, blob 1" {
		t.Error(got)
	}
	s.fake.fail = nil
	s.options.Store, s.fake.page = cas.Open(t.TempDir()), 1000
	ask()
	if got := ask(); got != "tags 1, head 3, get 0, blob 0" { // what the store has is only asked for
		t.Error(got)
	}
}

func TestPlan_progress(t *testing.T) {
	s := newSite(t, [2]string{"root", short("FROM @alpine\n")}, [2]string{"leaf", short("FROM @root\n")})
	var told []string
	s.plan.Progress = func(done, total int) { told = append(told, fmt.Sprintf("%d/%d", done, total)) }
	s.mustPlan()
	if d := cmp.Diff([]string{"1/2", "2/2"}, told); d != "" {
		t.Error(d)
	}
}

func TestPlan_cancelled(t *testing.T) {
	s := newSite(t, [2]string{"root", short("FROM @alpine\n")})
	g, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = g.Plan(ctx, PlanOptions{})
	wantError(t, err, diag.Interrupted)
	_, err = New(ctx, s.specs, Options{})
	wantError(t, err, diag.Interrupted)
}

// An index counts by the image of the platform: that another one was pushed rebuilds nothing.
func TestPlan_platforms(t *testing.T) {
	s := newSite(t, [2]string{"amd", short("FROM @multi\n")}, [2]string{"both", short("FROM @multi\n")}, [2]string{"child", short("FROM @both\n")})
	s.spec("both").Platforms = []string{"linux/amd64", "linux/arm64"}
	push := func(amd, arm string) {
		s.fake.push(reference(t, "registry.test/multi:1"), makeImage(map[string]string{"linux/amd64": amd, "linux/arm64": arm}, dockerfile.Config{}))
	}
	push("1", "1")
	p := s.mustPlan()
	pin := func(name string) string { return p.Step(p.graph.Find(name)).Pins["registry.test/multi:1"] }
	if one, all := pin("amd"), pin("both"); one == all || !slices.Contains([]string{"registry.test/multi@" + string(rootOf(s))}, all) {
		t.Error(one, all)
	}
	s.run(p)
	s.fake.push(reference(t, p.Step(p.graph.Find("both")).Tag), makeImage(map[string]string{"linux/amd64": "", "linux/s390x": ""}, dockerfile.Config{}))
	s.want(planned(s.mustPlan()), "both", "child") // that has no image for linux/arm64
	push("1", "2")
	p = s.mustPlan()
	s.want(planned(p), "both", "child")
	s.want(reasonsOf(p, "both"), "parent registry.test/multi:1")
}

func rootOf(s *site) cas.Digest {
	return s.fake.repository(reference(s, "registry.test/multi:1").Name).tags["1"]
}
