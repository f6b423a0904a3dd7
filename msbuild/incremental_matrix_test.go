package msbuild

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// The matrix of what may change between two publishes of a project. After each row two questions are asked: how often was the tool
// called, and for which stages; and is the image the one that a clean build of a clean clone gives, by digest.

// matrix is a project that is published again and again, through a proxy that counts.
type matrix struct {
	*skips
	proxy *testenv.Proxy
	clean clones
	// whole is the test of the matrix, where t is that of a row.
	whole *testing.T
}

// row is one change, and what a publish after it has to do.
type row struct {
	name   string
	change func()
	// switches are those of the publish, more than those that all rows have.
	switches []string
	// restore has the publish restore packages first.
	restore bool
	// runs are the stages that have to run beside those that ask the world; says are texts in the output.
	runs string
	says []string
	// state names what sources and settings are now. Rows with one state have one image, and no two states have the same.
	state string
	// requests are how many there may be; 0 is any number.
	requests int
}

const everyStage = "select-base compute-config create-layers"

// newMatrix is a matrix of a published project; its first row may be the first publish of an image.
func newMatrix(t *testing.T, kind string) *matrix {
	t.Helper()
	k := newSkips(t, kind)
	return &matrix{skips: k, proxy: k.throughProxy(), whole: t}
}

// line is the command line of a row's publish.
func (m *matrix) line(r row, more ...string) []string {
	line := []string{"publish"}
	if !r.restore {
		line = append(line, "--no-restore")
	}
	if !slices.Contains(r.switches, "-c") {
		line = append(line, "-c", "Release") // as in noBuild
	}
	return slices.Concat(line, m.container(), m.more, r.switches, more)
}

// all publishes after each row's change, and notes the images for compare.
func (m *matrix) all(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		m.in(t, r.name, func(*testing.T) {
			if r.change != nil {
				r.change()
			}
			m.calls()
			m.proxy.Reset()
			result := m.must(m.line(r)...)
			says(m.t, result, r.says...)
			m.ran(r.runs)
			if n := m.proxy.Counts(); r.requests > 0 && n.Requests > r.requests {
				m.t.Errorf("got %d requests, want at most %d\n%s", n.Requests, r.requests, m.proxy.Log())
			}
			m.is(r, "app")
		})
	}
}

// ran checks that the tool was called once for each of these stages, and for no other. The stages that ask the world are one call of push,
// which is repeated after each stage that had work.
func (m *matrix) ran(stages string) {
	m.t.Helper()
	want := []string{"push"}
	for _, stage := range strings.Fields(stages) {
		want = append(want, stage, "push")
	}
	if got := m.calls(); !slices.Equal(got, want) {
		m.t.Errorf("the tool was called for %q, want %q", got, want)
	}
}

// source is a file of the project.
func (m *matrix) source(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

// put writes a file of the project.
func (m *matrix) put(name, content string) {
	m.t.Helper()
	m.check(os.MkdirAll(filepath.Dir(m.source(name)), 0o755))
	m.check(os.WriteFile(m.source(name), []byte(content), 0o644))
}

// store is the content store of the project.
func (m *matrix) store() string {
	m.t.Helper()
	for _, e := range slices.Backward(m.env) {
		if dir, ok := strings.CutPrefix(e, "GANTRY_CACHE_DIR="); ok {
			return dir
		}
	}
	m.t.Fatal("the store is that of the tests")
	return ""
}

// forget leaves the published files alone, as on a CI runner after its compile: no response, no stamp, no content store.
func (m *matrix) forget() {
	m.t.Helper()
	m.check(os.RemoveAll(m.gantryDir()))
	m.check(os.RemoveAll(m.store()))
}

// made are the layers of an image above the base's that are in the content store: those that were made here.
func (m *matrix) made(repository string) (layers []string) {
	m.t.Helper()
	manifest, err := m.image(repository, "latest").Manifest()
	m.check(err)
	walk(m.t, m.store(), func(path string, e fs.DirEntry) {
		for _, l := range manifest.Layers[3:] {
			if l.Digest.Hex == e.Name() {
				layers = append(layers, e.Name())
			}
		}
	})
	return layers
}
