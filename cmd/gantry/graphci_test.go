package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

func TestMain(m *testing.M) {
	stop := testenv.ShareCompiler()
	code := m.Run()
	stop()
	os.Exit(code)
}

// ciSite is a repository of four images and machines that know nothing of each other but the registry: base and other are from scratch, mid is
// from base, and leaf from mid with a copy from base.
type ciSite struct {
	t        testing.TB
	dir, bin string
	reg      *testenv.Registry
	prefix   string
	force    string // an image that plans are asked to build
	maxJobs  string // what plans are cut to, in the place of the files' number
	machines int
}

func newCISite(t testing.TB, reg *testenv.Registry, bin, prefix string) *ciSite {
	s := &ciSite{t: t, dir: t.TempDir(), bin: bin, reg: reg, prefix: reg.Host() + "/" + prefix}
	var list strings.Builder
	list.WriteString("[defaults]\nplatforms = [\"linux/amd64\"]\n")
	for _, image := range []struct{ name, dockerfile string }{
		{"base", "FROM scratch\nCOPY content /\n"},
		{"mid", "FROM " + s.prefix + "/base:1\nCOPY content /\n"},
		{"leaf", "FROM " + s.prefix + "/mid:1\nCOPY --from=" + s.prefix + "/base:1 /content /b\nCOPY content /\n"},
		{"other", "FROM scratch\nCOPY content /\n"},
	} {
		fmt.Fprintf(&list, "[[image]]\nname = %q\ncontext = %q\ntags = [%q]\n", ciName(image.name), image.name, s.prefix+"/"+image.name+":1")
		s.write(image.name+"/Dockerfile", image.dockerfile)
		s.write(image.name+"/content", "1")
	}
	s.write("gantry.graph.toml", list.String())
	return s
}

// ciName is the name of an image in the list, with what a shell would act on.
func ciName(image string) string { return image + "'s $image" }

func (s *ciSite) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// machine is where a job runs: the checkout, and a folder without a past.
type machine struct {
	s      *ciSite
	dir    string
	stdout string
}

func (s *ciSite) machine() *machine {
	s.machines++
	return &machine{s: s, dir: s.t.TempDir()}
}

var maxJobs = regexp.MustCompile(`--max-jobs \d+`)

// run runs a script by a shell, and says whether it ended well.
func (m *machine) run(shell, script string, env []string) bool {
	m.s.t.Helper()
	words := strings.Fields(shell)
	if m.s.force != "" {
		script = strings.Replace(script, "gantry graph plan", `gantry graph plan --force "$PLAN_FORCE"`, 1)
	}
	if m.s.maxJobs != "" {
		script = maxJobs.ReplaceAllString(script, "--max-jobs "+m.s.maxJobs)
	}
	cmd := exec.CommandContext(m.s.t.Context(), words[0], append(words[1:], "-c", script)...)
	cmd.Dir = m.s.dir
	cmd.Env = append(append(os.Environ(), "PATH="+m.s.bin+":"+os.Getenv("PATH"), "GANTRY_CACHE_DIR="+filepath.Join(m.dir, "store"),
		"BUILT="+filepath.Join(m.s.dir, "built"), "MACHINE="+m.dir, "PLAN_FORCE="+m.s.force), env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	m.stdout = stdout.String()
	m.s.t.Logf("%s\n%s%s", script, m.stdout, &stderr)
	return err == nil
}

func (m *machine) read(file string) string {
	m.s.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		m.s.t.Fatal(err)
	}
	return string(data)
}

// builds runs a pipeline that must build these images in this order, each from what its parents are now, on this many machines.
func (s *ciSite) builds(run func() map[string]string, failed string, machines int, want ...string) {
	s.t.Helper()
	built := filepath.Join(s.dir, "built")
	_ = os.Remove(built)
	s.machines = 0
	results := run()
	if got := failures(results); got != failed {
		s.t.Errorf("the jobs %s failed, want %s: %v", got, failed, results)
	}
	var got []string
	digests := map[string]string{}
	for line := range strings.Lines((&machine{s: s}).read(built)) {
		image, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		digest, from, _ := strings.Cut(rest, " ")
		got, digests[image] = append(got, image), digest
		for parent, digest := range digests {
			pin := s.prefix + "/" + parent + ":1=docker-image://" + s.prefix + "/" + parent + "@"
			if strings.Contains(from, pin) && !strings.Contains(from, pin+digest) {
				s.t.Errorf("%s is built from %s, and %s is %s", image, from, parent, digest)
			}
		}
		if parents := map[string]int{"mid": 1, "leaf": 2}[image]; strings.Count(from, "@sha256:") != parents {
			s.t.Errorf("%s is built from %s", image, from)
		}
	}
	if !slices.Equal(got, want) || s.machines != machines {
		s.t.Errorf("built %q on %d machines, want %q on %d", got, s.machines, want, machines)
	}
}

// TestGraphCI runs the files of docs/ci.
func TestGraphCI(t *testing.T) {
	testenv.Require(t, "bash", "jq")
	bin := t.TempDir() // gantry's own folder outlives the test
	if err := os.Symlink(testenv.BuildGantry(t), filepath.Join(bin, "gantry")); err != nil {
		t.Fatal(err)
	}
	testenv.BuildTool(t, "cidocker", filepath.Join(bin, "docker"))
	reg := testenv.StartRegistry(t)
	own := "sh " + filepath.Join(testenv.Root(t), "docs/ci/build-image.sh") + ` "$GRAPH_IMAGE"`
	t.Run("github", func(t *testing.T) { newCISite(t, reg, bin, "github").gitHub() })
	t.Run("azure", func(t *testing.T) {
		s := newCISite(t, reg, bin, "azure")
		s.maxJobs = "3"
		s.builds(s.runAzure, "[left tags]", 6, "base", "other", "mid")
		s.maxJobs = ""
		s.builds(s.runAzure, "[]", 3, "leaf")
		s.builds(s.runAzure, "[]", 2)
		s.write("base/content", "2")
		s.write("mid/content", "this cannot be built")
		s.force = ciName("other")
		s.builds(s.runAzure, "[tags wave1]", 5, "base", "other")
	})
	t.Run("gitlab", func(t *testing.T) {
		s := newCISite(t, reg, bin, "gitlab")
		run := func() map[string]string { return s.runGitLab("") }
		s.maxJobs = "3"
		s.builds(run, "[left tags]", 4, "base", "other", "mid")
		s.maxJobs = ""
		s.builds(run, "[]", 2, "leaf")
		s.builds(run, "[]", 1)
		s.write("base/content", "2")
		s.write("mid/content", "this cannot be built")
		s.builds(run, "[build "+ciName("mid")+" tags]", 3, "base")
	})
	t.Run("own", func(t *testing.T) {
		s := newCISite(t, reg, bin, "own")
		run := func() map[string]string { return s.runGitLab(own) }
		s.builds(run, "[]", 5, "base", "other", "mid", "leaf")
		s.write("base/Dockerfile", "FROM scratch\nCOPY content /\nLABEL a=b\n")
		s.force = ciName("other")
		s.builds(run, "[]", 5, "base", "other")
	})
	t.Run("own, named contexts", func(t *testing.T) {
		s := newCISite(t, reg, bin, "own-named")
		list := (&machine{s: s}).read(filepath.Join(s.dir, "gantry.graph.toml"))
		contexts := fmt.Sprintf("contexts = { parent = %q, unused = %q }\n", "docker-image://"+s.prefix+"/base:1", "target:-other")
		list = strings.Replace(list, "context = \"mid\"\n", "context = \"mid\"\n"+contexts, 1)
		s.write("gantry.graph.toml", strings.Replace(list, ciName("other")+"\"\ncontext", "-other\"\ncontext", 1))
		s.write("mid/Dockerfile", "FROM parent\nCOPY content /\n")
		for _, image := range []string{ciName("base"), ciName("mid"), "-other"} {
			m := s.machine()
			for _, made := range []string{"builder", "binfmt"} {
				if err := os.WriteFile(filepath.Join(m.dir, made), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if !m.run("sh", own, []string{"GRAPH_IMAGE=" + image}) {
				t.Fatal(image)
			}
		}
		built := (&machine{s: s}).read(filepath.Join(s.dir, "built"))
		if !strings.Contains(built, "parent=docker-image://"+s.prefix+"/base@sha256:") || strings.Contains(built, "target:") {
			t.Errorf("built %s", built)
		}
	})
	// what cannot be known is built in each pipeline, once, and all its children are built from that
	for name, run := range map[string]func(*ciSite) map[string]string{
		"unknown":      func(s *ciSite) map[string]string { return s.runGitHub("images.yml", nil) },
		"unknown, own": func(s *ciSite) map[string]string { return s.runGitLab(own) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newCISite(t, reg, bin, strings.ReplaceAll(name, ", ", "-"))
			s.write("base/Dockerfile", "FROM scratch\nADD https://example.com/x /\nCOPY content /\n")
			run := func() map[string]string { return run(s) }
			all := map[bool]int{true: 6, false: 5}[name == "unknown"]
			s.builds(run, "[]", all, "base", "other", "mid", "leaf")
			s.builds(run, "[]", all-1, "base")
			s.write("base/content", "2")
			s.builds(run, "[]", all-1, "base", "mid", "leaf")
		})
	}
}

// gitHub runs the workflows of GitHub.
func (s *ciSite) gitHub() {
	run := func() map[string]string { return s.runGitHub("images.yml", nil) }
	s.builds(run, "[]", 6, "base", "other", "mid", "leaf")
	if page := (&machine{s: s}).read(filepath.Join(s.dir, "summary.md")); !strings.Contains(page, "### Build 4 of 4 images in 3 waves") {
		s.t.Errorf("the page of the job is %q", page)
	}
	s.builds(run, "[]", 2)

	// a parent that is built to what it was: the jobs of its children find nothing to do
	s.write("base/Dockerfile", "FROM scratch\nCOPY content /\nLABEL a=b\n")
	s.builds(run, "[]", 5, "base")

	// a failure keeps later waves from being built; the next run goes on there
	s.write("base/content", "2")
	s.write("mid/content", "this cannot be built")
	s.builds(run, "[tags wave1]", 4, "base")
	s.write("mid/content", "2")
	s.builds(run, "[]", 4, "mid", "leaf")

	s.force = ciName("other")
	s.builds(run, "[]", 3, "other")

	s.force = ""
	s.pullRequest()
}

// pullRequest looks at what the workflow of pull requests says of a change and of a list that is wrong.
func (s *ciSite) pullRequest() {
	list := (&machine{s: s}).read(filepath.Join(s.dir, "gantry.graph.toml"))
	s.write("gantry.graph.toml", strings.ReplaceAll(list, ciName(""), "")) // verify refuses such names
	var w githubWorkflow
	ciFile(s.t, "github/images-plan.yml", &w)
	may := map[string]string{}
	if err := w.Permissions.Decode(&may); err != nil || !maps.Equal(may, map[string]string{"contents": "read", "packages": "read"}) {
		s.t.Errorf("a pull request may %v (%v)", may, err)
	}
	pull := func() map[string]string { return s.runGitHub("images-plan.yml", nil) }
	s.write("leaf/content", "2")
	s.builds(pull, "[]", 1)
	page := (&machine{s: s}).read(filepath.Join(s.dir, "summary.md"))
	if !strings.Contains(page[strings.LastIndex(page, "### "):], "### Build 1 of 4 images in 1 wave") {
		s.t.Errorf("the page of the pull request is %q", page)
	}
	s.write("gantry.graph.toml", list)
	s.builds(pull, "[plan]", 1)
}
