package graphformat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/imagelist"
)

// maker makes plans. An image is named by the order in which it is made.
type maker struct{ steps []graph.Step }

// add adds an image to build in a wave, or one that is skipped where the wave is -1.
func (m *maker) add(name string, wave int, parents []int, reasons ...graph.Reason) int {
	image := &graph.Image{Spec: &imagelist.Spec{
		Name: name, Context: "/src/" + name, Dockerfile: "/src/" + name + "/Dockerfile",
		Tags: []string{"registry.example:5000/" + strings.SplitN(name, "-", 2)[0] + ":" + name},
	}}
	for _, p := range parents {
		parent := m.steps[p].Image
		image.Parents = append(image.Parents, parent)
		parent.Children = append(parent.Children, image)
	}
	s := graph.Step{Image: image, Decision: graph.Build, Wave: wave, Reasons: reasons}
	if wave < 0 {
		s.Decision, s.Wave = graph.Skip, 0
		s.Hash = cas.DigestOf([]byte("hash of " + name))
		s.Digest = cas.DigestOf([]byte("image " + name))
		s.Tag = repository(image.Spec.Tags) + ":src-" + strings.TrimPrefix(string(s.Hash), "sha256:")
	}
	m.steps = append(m.steps, s)
	return len(m.steps) - 1
}

func same() graph.Reason {
	return graph.Reason{Kind: "same", Text: "nothing changed since it was built"}
}

func planned(parent string) graph.Reason {
	return graph.Reason{Kind: "parent-planned", Name: parent, Text: parent + " is built first"}
}

// samplePlan has all that a plan can say of an image.
func samplePlan() []graph.Step {
	m := &maker{}
	base := m.add("base", -1, nil, same())
	m.steps[base].Image.Variants = []*graph.Variant{{
		Platform: dockerfile.Platform{OS: "linux", Architecture: "amd64"},
		Parents:  []graph.Parent{{Reference: "docker.io/library/debian:12"}, {Reference: "docker.io/library/debian:12"}},
	}}
	sdk := m.add("sdk-8.0", 0, []int{base}, graph.Reason{Kind: "file", Name: "sdk/install.sh", Text: "sdk/install.sh changed"},
		graph.Reason{Kind: "argument", Name: "VERSION", Text: "the argument VERSION changed from 8.0.1 to 8.0.2"})
	version, empty := "8.0.2", ""
	spec := m.steps[sdk].Image.Spec
	spec.Target = "final"
	spec.Args = map[string]*string{"VERSION": &version, "EMPTY": &empty, "GIVEN_ELSEWHERE": nil}
	spec.Platforms = []string{"linux/amd64", "linux/arm64"}
	spec.Tags = append(spec.Tags, "registry.example:5000/sdk:latest")
	spec.Contexts = map[string]string{"scripts": "/src/scripts", "remote": "https://example.org/r.git", "parent": "target:base"}
	spec.Options = map[string]string{"labels": `{"a":"b"}`}
	m.steps[sdk].Pins = map[string]string{
		"registry.example:5000/base:base": "registry.example:5000/base@" + string(m.steps[base].Digest),
	}
	inline := m.add("inline", 0, nil, graph.Reason{Kind: "new", Text: "it is not built yet"})
	spec = m.steps[inline].Image.Spec
	spec.Dockerfile, spec.Inline, spec.Tags = "", "FROM scratch\nCOPY a b\n", nil
	tool := m.add("tool-1", 1, []int{base, sdk}, planned("sdk-8.0"))
	m.steps[tool].Image.Spec.Context = "https://example.org/tool.git"
	m.add("app-1", 2, []int{tool, sdk}, planned("tool-1"), planned("sdk-8.0"))
	m.add("app-2", -1, []int{base}, same())
	m.add("app-3", -1, []int{base}, graph.Reason{Kind: "same", Text: "nothing changed since it was built, in another sentence"})
	return m.steps
}

// largePlan has 80 repositories of 160 images: the bases, of which one changed, 40 of tools on ten of them, and 39 of apps on the tools. The
// last app has a reason of its own.
func largePlan() []graph.Step {
	m := &maker{}
	for r := range 80 {
		for v := range 160 {
			i, name := len(m.steps), fmt.Sprintf("repo%02d-v%03d", r, v)
			switch {
			case r == 0 && v == 7:
				m.add(name, 0, nil, graph.Reason{Kind: "file", Name: "etc/motd", Text: "etc/motd changed"})
			case r == 0:
				m.add(name, -1, nil, same())
			case r <= 40 && v%10 == 7:
				m.add(name, 1, []int{v % 10}, planned(fmt.Sprintf("repo00-v%03d", v%10)))
			case r <= 40:
				m.add(name, -1, []int{v % 10}, same())
			case r == 79 && v == 159:
				m.add(name, 1, []int{i - 39*160, 7}, planned("repo00-v007"), graph.Reason{
					Kind: "unknown", Name: "ADD", Text: "Dockerfile:7: ADD https://example.org/needle.bin has no checksum",
				})
			case v%10 == 7:
				m.add(name, 2, []int{i - 39*160, 7}, planned(fmt.Sprintf("repo%02d-v%03d", r-39, v)))
			default:
				m.add(name, -1, []int{i - 39*160}, same())
			}
		}
	}
	return m.steps
}

// odd are names with what the formats take for syntax.
var odd = []string{
	`a"b`, `a'b`, "a`b`", `a\b`, `a\`, `<script>alert(1)</script>`, `</script><b>`, `<!--`, `]]>`, `a&amp;b`, `&#38;`, `&lt;`, `a;b`, `a#b`, `#35;`,
	`style: x#y;`, `style:x#y`, `<img src=x onerror=alert(1)>`, `a: b`, `- a`, `-rf`, `--`, `{a}`, `[a]`, `a, b`, `*a`, `&a`, `!a`, `|`, `>`, `%a`, `@a`, `~`, `null`, `true`, `1e3`, `0x1f`, `2026-11-21`,
	`${{ github.token }}`, `$${{x}}`, `${{`, `$(Build.SourceBranch)`, `$[variables.x]`, `$[[ inputs.x ]]`, `$HOME`, `$$HOME`, `%HOME%`, `%0A`, `%AZP25`,
	"##vso[task.complete]", "a]b", "a\nb", "a\r\nb", "a\tb", " a ", "", "a\x1b[31mred", "a\x00b", "a\x7fb", "a\u0085b", "a\u2028b", "\ufeffa", "a\u202eb", "\uffff",
	"名前", "🚢 ship", "é", `\N`, `\G`, `"]:::x`, `end`, `a|b`, `.hidden`, `image`, "x\\n", `a/b/c:1@sha256`, strings.Repeat("long", 80),
}

func oddPlan() []graph.Step {
	m := &maker{}
	for i, name := range odd {
		value := name
		m.add(name, i%2, nil, graph.Reason{Kind: "argument", Name: name, Text: "the argument " + name + " changed"})
		if i%2 == 1 {
			m.steps[i].Image.Parents = []*graph.Image{m.steps[i-1].Image}
		}
		m.steps[i].Image.Spec.Args = map[string]*string{"ARG": &value}
		m.steps[i].Pins = map[string]string{name: "r/x@sha256:" + name}
	}
	return m.steps
}

func write(t *testing.T, format string, steps []graph.Step, o Options) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, format, steps, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
