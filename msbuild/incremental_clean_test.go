package msbuild

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// clones are clean clones of the sources, one for each state of a matrix. They are built by one process, one after the other: each
// has a folder, a content store and a repository of its own.
type clones struct {
	states map[string]*clone
	order  []*clone
}

// clone is one of them.
type clone struct {
	state, project, repository string
	// properties are those of the publish, "NAME=VALUE" each.
	properties []string
	// digest is that of its image, empty before it is built.
	digest string
	// images are those that have to be the same.
	images []claim
}

// claim is an image and the row that made it.
type claim struct{ row, repository, digest string }

// is notes that a repository's image, as it is now, is the one of a row's state; compare looks.
func (m *matrix) is(r row, repository string) {
	m.t.Helper()
	c := m.know(r)
	c.images = append(c.images, claim{r.name, repository, m.digest(repository)})
}

// know copies the sources as they are, if the row's state is new. What a restore left is taken along; nothing that a build made is.
func (m *matrix) know(r row) *clone {
	m.t.Helper()
	if c := m.clean.states[r.state]; c != nil {
		return c
	}
	from := *m.site
	from.t = m.whole // a clone outlives the row
	copied := from.clone()
	restored, err := filepath.Glob(filepath.Join(m.dir, "obj", "*.*"))
	m.check(err)
	for _, file := range restored {
		data, err := os.ReadFile(file)
		m.check(err)
		m.check(os.MkdirAll(filepath.Join(copied.dir, "obj"), 0o755))
		m.check(os.WriteFile(filepath.Join(copied.dir, "obj", filepath.Base(file)), data, 0o644))
	}
	projects, err := filepath.Glob(filepath.Join(copied.dir, "*.csproj"))
	m.check(err)
	c := &clone{state: r.state, project: projects[0], repository: fmt.Sprintf("clean%d", len(m.clean.order))}
	c.properties = append(asProperties(m.line(r)), "ContainerRepository="+c.repository, "GantryCacheDir="+m.whole.TempDir(), "_IsPublishing=true")
	if m.clean.states == nil {
		m.clean.states = map[string]*clone{}
	}
	m.clean.states[r.state] = c
	m.clean.order = append(m.clean.order, c)
	return c
}

// asProperties has the properties that a command line of dotnet sets.
func asProperties(line []string) []string {
	properties := []string{"Configuration=Release"}
	names := map[string]string{"-c": "Configuration", "-f": "TargetFramework", "-r": "RuntimeIdentifier"}
	for i, word := range line {
		if name := names[word]; name != "" {
			properties = append(properties, name+"="+line[i+1])
		} else if p, ok := strings.CutPrefix(word, "-p:"); ok {
			properties = append(properties, p)
		}
	}
	return properties
}

// build has the clones built that are not built yet. What they read must be as it was when they were made: a base that is about to move
// is a reason to call it.
func (m *matrix) build() {
	m.t.Helper()
	var items []string
	for _, c := range m.clean.order {
		if c.digest == "" {
			items = append(items, fmt.Sprintf("    <Clone Include=\"%s\" AdditionalProperties=\"%s\" />", c.project, strings.Join(c.properties, ";")))
		}
	}
	if len(items) == 0 {
		return
	}
	text := "<Project>\n  <ItemGroup>\n" + strings.Join(items, "\n") + "\n  </ItemGroup>\n" +
		`  <Target Name="Publish"><MSBuild Projects="@(Clone)" Targets="Publish;PublishContainer" /></Target>` + "\n</Project>\n"
	file := filepath.Join(m.t.TempDir(), "clones.proj")
	m.check(os.WriteFile(file, []byte(text), 0o644))
	m.must("msbuild", "-nologo", "-m:1", "-t:Publish", file)
	m.calls()
	for _, c := range m.clean.order {
		if c.digest == "" {
			c.digest = m.digest(c.repository)
		}
	}
}

// compare builds the clones and compares the images with theirs. It ends a test.
func (m *matrix) compare() {
	m.t.Helper()
	m.build()
	states := map[string]string{}
	for _, c := range m.clean.order {
		if other, twice := states[c.digest]; twice {
			m.t.Errorf("%s and %s have one image: they show nothing", other, c.state)
		}
		states[c.digest] = c.state
		for _, i := range c.images {
			if i.digest != c.digest {
				m.t.Errorf("%s: the image is %s, a clean clone gives %s%s", i.row, i.digest, c.digest, m.difference(i, c))
			}
		}
	}
}

// difference names the files in which two images differ.
func (m *matrix) difference(i claim, c *clone) string {
	m.t.Helper()
	got, want := appFiles(m.t, m.image(i.repository, i.digest), 3), appFiles(m.t, m.image(c.repository, "latest"), 3)
	names := maps.Clone(got)
	maps.Copy(names, want)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if got[name] != want[name] {
			fmt.Fprintf(&text, "\n%s: got %q, want %q", name, got[name], want[name])
		}
	}
	return text.String()
}
