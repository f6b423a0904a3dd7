package graphformat

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"sort"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/testenv"
)

func TestGitHub_shards(t *testing.T) {
	steps := largePlan()
	var doc Matrices
	if err := json.Unmarshal([]byte(write(t, "github", steps, Options{Brief: true, Shard: 100})), &doc); err != nil {
		t.Fatal(err)
	}
	wave := map[string]int{}
	for _, w := range doc.Waves {
		for _, shard := range w.Shards {
			if n := len(shard.Include); n == 0 || n > 100 {
				t.Errorf("wave %d has a shard of %d jobs", w.Wave, n)
			}
			for _, j := range shard.Include {
				if _, twice := wave[j.Image]; twice {
					t.Errorf("%s is built twice", j.Image)
				}
				wave[j.Image] = w.Wave
			}
		}
	}
	for _, s := range steps {
		w, ok := wave[s.Image.Spec.Name]
		if ok != (s.Decision == graph.Build) {
			t.Fatalf("%s is in the plan: %v, in the matrices: %v", s.Image.Spec.Name, s.Decision, ok)
		}
		for _, parent := range s.Image.Parents {
			if k, planned := wave[parent.Spec.Name]; ok && planned && k >= w {
				t.Fatalf("%s is built in wave %d, its parent %s in %d", s.Image.Spec.Name, w, parent.Spec.Name, k)
			}
		}
	}
	if doc.Jobs != len(wave) || doc.Jobs != 1266 || len(doc.Waves) != 3 || doc.Remaining != 0 {
		t.Errorf("%d jobs, %d images, %d waves, %d remaining", doc.Jobs, len(wave), len(doc.Waves), doc.Remaining)
	}
}

// TestTooLarge: what a service does not take is an error with a number that it does take, and never half of a plan.
func TestTooLarge(t *testing.T) {
	m := &maker{}
	for i := range 12800 {
		m.add(fmt.Sprintf("a-repository-with-a-long-name-%05d", i), 0, nil, graph.Reason{Kind: "new", Text: "it is not built yet"})
	}
	for _, c := range []struct {
		format string
		images int
		o      Options
		hint   string
	}{
		{"github", 3000, Options{}, "--brief"},
		{"github", 12800, Options{Brief: true}, "--max-jobs "},
		{"github", 1500, Options{Dependencies: true}, "--brief"},
		{"gitlab", 1000, Options{}, "--brief"},
		{"gitlab", 3000, Options{Brief: true}, "--max-jobs "},
		{"azure", 300, Options{}, "--brief, which leaves the details of each job to the JSON of the plan; or use --shard "},
		{"azure", 12800, Options{Shard: 100}, "--brief"},
		{"azure", 12800, Options{Brief: true}, "--max-jobs "},
		{"azure", 257, Options{Dependencies: true}, "--max-jobs "},
	} {
		steps := m.steps[:c.images]
		var b strings.Builder
		err := Write(&b, c.format, steps, c.o)
		if diag.CodeOf(err) != diag.PlanTooLarge || !strings.Contains(err.Error(), c.hint) || b.Len() > 0 {
			t.Errorf("%s %+v: %v, %d bytes", c.format, c.o, err, b.Len())
			continue
		}
		number, least := &c.o.MaxJobs, 200
		_, rest, found := strings.Cut(err.Error(), "--max-jobs ")
		if !found {
			_, rest, _ = strings.Cut(err.Error(), "--shard ")
			number, least = &c.o.Shard, 50
		}
		if _, err := fmt.Sscanf(rest, "%d", number); err != nil {
			t.Fatalf("%s: %v", rest, err)
		}
		if *number < least || *number >= c.images {
			t.Errorf("%s %+v: the number is %d", c.format, c.o, *number)
		}
		if err := Write(io.Discard, c.format, steps, c.o); err != nil {
			t.Errorf("%s with the number %d of the hint: %v", c.format, *number, err)
		}
	}
}

// TestTooLarge_github: the limit is on the size in UTF-16.
func TestTooLarge_github(t *testing.T) {
	for _, name := range []string{"a", "\u00e9", "\U0001f6a2"} {
		m := &maker{}
		for i := range 2000 {
			m.add(fmt.Sprintf("%04d%s", i, strings.Repeat(name, 300/utf16Bytes([]byte(name))*2)), 0, nil)
		}
		attempt := func(jobs int) (string, error) {
			var b strings.Builder
			err := Write(&b, "github", m.steps, Options{Brief: true, MaxJobs: jobs})
			return b.String(), err
		}
		most := sort.Search(len(m.steps)-1, func(n int) bool { _, err := attempt(n + 1); return err != nil })
		text, _ := attempt(max(most, 1))
		if size := len(utf16.Encode([]rune(text))) * 2; size > 1<<20 || size < 1<<20-1000 {
			t.Errorf("%s: at most %d jobs with %d bytes of 1 MiB", name, most, size)
		}
	}
}

// TestGitHub_allBrief: what the README says fits into the output of a job.
func TestGitHub_allBrief(t *testing.T) {
	m := &maker{}
	for i := range 12800 {
		m.add(fmt.Sprintf("%025d", i), 0, nil)
	}
	var doc Matrices
	if err := json.Unmarshal([]byte(write(t, "github", m.steps, Options{Brief: true})), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Jobs != 12800 || len(doc.Waves[0].Shards) != 50 {
		t.Errorf("%d jobs in %d shards", doc.Jobs, len(doc.Waves[0].Shards))
	}
}

// TestMaxJobs: the first jobs have their parents among them.
func TestMaxJobs(t *testing.T) {
	for max := 1; max <= 4; max++ {
		waves, total, remaining := newPlan(samplePlan(), Options{MaxJobs: max}).jobs()
		have := map[string]bool{}
		for _, wave := range waves {
			for _, j := range wave {
				have[j.Image] = true
				for _, need := range j.Needs {
					if !have[need] {
						t.Errorf("of %d jobs %s needs %s, which is not among them", max, j.Image, need)
					}
				}
			}
		}
		if total != max || len(have) != max || remaining != 4-max {
			t.Errorf("%d jobs: %d, %d remain", max, total, remaining)
		}
	}
}

// TestGitLab_manyNeeds: a job with more parents than GitLab takes waits for the stages before it.
func TestGitLab_manyNeeds(t *testing.T) {
	m := &maker{}
	var parents []int
	for i := range gitlabNeeds + 1 {
		parents = append(parents, m.add(fmt.Sprintf("p%d", i), 0, nil))
	}
	m.add("fits", 1, parents[1:])
	m.add("many", 1, parents)
	var doc map[string]struct {
		Needs []string
		Stage string
	}
	text := write(t, "gitlab", m.steps, Options{})
	_, text, _ = strings.Cut(text, "  - wave-1\n") // what stands above is no job
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if j := doc["build fits"]; len(j.Needs) != gitlabNeeds || j.Stage != "wave-1" {
		t.Errorf("got %+v", j)
	}
	if j := doc["build many"]; j.Needs != nil || j.Stage != "wave-1" {
		t.Errorf("got %+v", j)
	}
}

func TestMermaid_folds(t *testing.T) {
	text := write(t, "mermaid", largePlan(), Options{All: true})
	if edges := strings.Count(text, " --> "); edges == 0 || edges > mermaidEdges || len(text) > mermaidText {
		t.Errorf("%d edges, %d bytes", edges, len(text))
	}
	if boxes := strings.Count(text, `["`); boxes != 80 || !strings.Contains(text, `["registry.example:5000/repo79 (160 images, 17 to build)"]`) {
		t.Errorf("%d boxes:\n%s", boxes, text)
	}
	m := &maker{}
	var all []int
	for i := range 60 { // more repositories than edges allow
		m.add(fmt.Sprintf("r%d", i), i, all)
		all = append(all, i)
	}
	for i := range m.steps {
		m.steps[i].Wave = min(i, 2)
	}
	if text := write(t, "mermaid", m.steps, Options{}); !strings.Contains(text, "a box is a wave") || strings.Count(text, " --> ") != 3 {
		t.Error(text)
	}
	for i := range m.steps { // and more waves
		m.steps[i].Wave = i
	}
	if text := write(t, "mermaid", m.steps, Options{}); strings.Count(text, " --> ") != 0 || !strings.Contains(text, `["build (60 images, 60 to build)"]`) {
		t.Error(text)
	}
}

// TestDOT_folds: a plan of all images has a picture that Graphviz draws.
func TestDOT_folds(t *testing.T) {
	testenv.Require(t, "dot")
	steps := largePlan()
	for i := range steps {
		steps[i].Decision = graph.Build
	}
	text := write(t, "dot", steps, Options{})
	cmd := exec.CommandContext(t.Context(), "dot", "-Tsvg")
	cmd.Stdin = strings.NewReader(text)
	svg, err := cmd.Output()
	if err != nil || strings.Count(string(svg), `class="node"`) != 80 || !strings.Contains(string(svg), "repo79 (160 images, 160 to build)") {
		t.Errorf("%v: %d boxes", err, strings.Count(string(svg), `class="node"`))
	}
	if n := strings.Count(write(t, "dot", steps, Options{All: true}), " [label="); n != 12800 {
		t.Errorf("with all, %d boxes", n)
	}
}

func TestText_folds(t *testing.T) {
	text := write(t, "text", largePlan(), Options{})
	for _, want := range []string{
		"Build 1,266 of 12,800 images in 3 waves; skip 11,534.\n", "\nWave 0: 1 image\n  repo00-v007  etc/motd changed\n",
		"\nWave 1: 641 images\n      16  registry.example:5000/repo01: repo00-v007 is built first\n",
		"\nSkip: 11,534 images\n  11,534  nothing changed since it was built\n\nWith --all each image is listed.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	if n := strings.Count(text, "\n"); n > 100 {
		t.Errorf("the text has %d lines", n)
	}
	if n := strings.Count(write(t, "text", largePlan(), Options{All: true}), "\n  repo"); n != 12800 {
		t.Errorf("with all, %d images are listed", n)
	}
}

// TestText_reasons: many reasons and long ones are cut, but for all.
func TestText_reasons(t *testing.T) {
	m := &maker{}
	var reasons []graph.Reason
	for i := range 5 {
		reasons = append(reasons, graph.Reason{Kind: "file", Text: fmt.Sprintf("file %d %s changed", i, strings.Repeat("\u00e9", 200))})
	}
	m.add("five", 0, nil, reasons...)
	m.add("four", 0, nil, reasons[:4]...)
	lines := strings.Split(write(t, "text", m.steps, Options{}), "\n")
	if len(lines) != 3+4+4+1 || lines[6] != "        and 2 reasons more" || !strings.HasSuffix(lines[3], "\u00e9…") ||
		utf8.RuneCountInString(lines[3]) != 2+4+2+maxReason {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	if all := write(t, "text", m.steps, Options{All: true}); strings.Count(all, " changed\n") != 9 {
		t.Error(all)
	}
}

func TestSummary(t *testing.T) {
	for name, c := range map[string]struct {
		steps []graph.Step
		rows  int
		want  string
	}{
		"sample": {samplePlan(), 4, "### Build 4 of 7 images in 3 waves; skip 3.\n\n| wave | image | why |\n| --- | --- | --- |\n| 0 | sdk-8.0 | sdk/install.sh changed; "},
		"odd":    {oddPlan(), len(odd), "| 1 | &#60;script&#62;alert(1)&#60;/script&#62; | the argument "},
		"large":  {largePlan(), maxRows, "\nand 1,166 images more\n"},
		"empty":  {nil, 0, "### There are no images.\n"},
	} {
		var b strings.Builder
		if err := Summary(&b, c.steps); err != nil {
			t.Fatal(err)
		}
		rows := 0
		for line := range strings.Lines(b.String()) {
			if strings.HasPrefix(line, "| ") && strings.Count(line, "|") == 4 && !strings.HasPrefix(line, "| wave") && !strings.HasPrefix(line, "| -") {
				rows++
			}
		}
		if rows != c.rows || !strings.Contains(b.String(), c.want) || strings.ContainsAny(b.String(), "<`\x1b") {
			t.Errorf("%s: %d rows, want %d, with %q:\n%s", name, rows, c.rows, c.want, b.String())
		}
	}
}

func TestJobID(t *testing.T) {
	for name, want := range map[string]string{
		"base": "build_base", "a_1": "build_a_1", "sdk-8.0": "build_sdk_8_0_506be255f2", "": "build_",
	} {
		if got := jobID(name); got != want {
			t.Errorf("jobID(%q) = %q, want %q", name, got, want)
		}
	}
	for _, pair := range [][2]string{{"a-b", "a.b"}, {"a", "A"}, {strings.Repeat("x", 200), strings.Repeat("x", 201)}} {
		a, b := jobID(pair[0]), jobID(pair[1])
		if strings.EqualFold(a, b) || len(a) > 100 || len(b) > 100 {
			t.Errorf("%q and %q: %q and %q", pair[0], pair[1], a, b)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		format string
		o      Options
		want   string
	}{
		{"texx", Options{}, "is text meant?"},
		{"", Options{}, "the formats are"},
		{"github", Options{Shard: 257}, "from 1 to 256"},
		{"github", Options{Shard: -1}, "from 1 to 256"},
		{"github", Options{MaxJobs: -1}, "use a number"},
	} {
		if err := Write(io.Discard, c.format, nil, c.o); diag.CodeOf(err) != diag.BadUsage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.format, err, c.want)
		}
	}
}
