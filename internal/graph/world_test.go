package graph

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/registry"
)

// world is a list of images as a person thinks of them, the files that are written for them, and what a registry should have. It knows nothing
// of Dockerfiles but how to write them: what each image needs is said here in another way.
type world struct {
	dir     string
	host    string
	shared  bool // all images are tags of one repository
	images  []*subject
	outside []*stranger
	push    func(registry.Reference, *made)

	// files are those of each image's folder, by path.
	files map[string]map[string]file
	// built has every image that was ever built, by all that it was made of.
	built map[string]*made
	// current is what the source tag of each image has now.
	current map[*subject]*made
}

// stranger is an image outside the graph.
type stranger struct {
	ref     string
	content map[string]string // by platform
	onBuild bool
	made    *made
}

// need is a parent: one of both.
type need struct {
	image   *subject
	outside *stranger
}

// file is one of a context.
type file struct {
	name, text string
	mode       os.FileMode
}

// subject is an image of the graph.
type subject struct {
	name      string
	platforms []string
	base      need
	tools     []need // each the base of a stage that is copied from
	copies    []need // named by COPY --from
	dead      need   // the base of a stage that nobody uses
	copied    []*file
	folder    []*file // copied as a folder
	ignored   []*file // in the folder, and in .dockerignore
	unused    []*file
	trigger   *file
	run       string
	mode      string // an argument; empty is none
	stray     string // an argument that no stage declares
	comment   string
	label     string
	onBuild   bool
	// flat images have always the same content.
	flat bool
	// again counts builds of equal source that gave other bytes.
	again int
}

func (w *world) tag(s *subject) string {
	if w.shared {
		return w.host + "/all:" + s.name
	}
	return w.host + "/" + s.name + ":1"
}

func (w *world) ref(n need) string {
	if n.image != nil {
		return w.tag(n.image)
	}
	return w.host + "/" + n.outside.ref
}

// write brings the folder of an image to what it should have, and touches nothing else.
func (w *world) write(s *subject) {
	want := map[string]file{}
	put := func(sub string, list ...*file) {
		for _, f := range list {
			want[filepath.Join(w.dir, s.name, sub, f.name)] = *f
		}
	}
	put("", s.copied...)
	put("", s.unused...)
	put("", s.trigger)
	put("folder", s.folder...)
	put("folder", s.ignored...)
	var ignore strings.Builder
	for _, f := range s.ignored {
		ignore.WriteString("folder/" + f.name + "\n")
	}
	put("", &file{".dockerignore", ignore.String(), 0o644}, &file{"Dockerfile", w.dockerfile(s), 0o644})
	has := w.files[s.name]
	if has == nil {
		check(os.MkdirAll(filepath.Join(w.dir, s.name, "folder"), 0o755))
	}
	for path := range has {
		if _, ok := want[path]; !ok {
			check(os.Remove(path))
		}
	}
	for path, f := range want {
		if was, ok := has[path]; !ok || was.text != f.text {
			check(os.WriteFile(path, []byte(f.text), f.mode))
		}
		if has[path].mode != f.mode {
			check(os.Chmod(path, f.mode))
		}
	}
	w.files[s.name] = want
}

func (w *world) dockerfile(s *subject) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# %s", s.comment)
	for k, n := range s.tools {
		line("FROM %s AS tool%d\nRUN tool", w.ref(n), k)
	}
	line("FROM %s AS dead\nRUN %s\nCOPY missing /", w.ref(s.dead), s.comment)
	line("FROM %s AS final", w.ref(s.base))
	if s.mode != "" {
		line("ARG MODE")
	}
	line("RUN %s %s", s.name, s.run)
	for _, f := range s.copied {
		line("COPY %s /", f.name)
	}
	line("COPY folder /folder/")
	for k := range s.tools {
		line("COPY --from=tool%d /x /x", k)
	}
	for _, n := range s.copies {
		line("COPY --from=%s /y /y", w.ref(n))
	}
	if s.onBuild {
		line("ONBUILD COPY trigger.txt /")
	}
	return b.String()
}

func (w *world) specs() []imagelist.Spec {
	list := make([]imagelist.Spec, len(w.images))
	for k, s := range w.images {
		dir := filepath.Join(w.dir, s.name)
		list[k] = imagelist.Spec{
			Name: s.name, Origin: "test", Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Platforms: s.platforms,
			Tags: []string{w.tag(s)}, Args: map[string]*string{}, Options: map[string]string{"labels": s.label},
		}
		for name, value := range map[string]string{"MODE": s.mode, "STRAY": s.stray} {
			if value != "" {
				list[k].Args[name] = &value
			}
		}
	}
	return list
}

// needs are all parents.
func (s *subject) needs() []need {
	return append(append([]need{s.base}, s.tools...), s.copies...)
}

// everything is all that an image is made of, as text, with nothing left out and nothing hashed. It is empty when a parent is not there.
func (w *world) everything(s *subject) string {
	var b strings.Builder
	add := func(args ...any) { fmt.Fprintf(&b, "%q\n", args) }
	add(s.name, s.platforms, s.run, s.mode, s.onBuild, s.label, len(s.tools), len(s.copies))
	files := append(slices.Clone(s.copied), s.folder...)
	for k, n := range append([]need{s.base}, s.tools...) { // what stages begin with
		if n.image != nil && n.image.onBuild || n.outside != nil && n.outside.onBuild {
			add("triggered", k) // it is not the same in which stage a trigger runs
			files = append(files, s.trigger)
		}
	}
	for _, f := range files {
		add(f.name, f.text, f.mode.String())
	}
	for _, n := range s.needs() {
		m := w.made(n)
		if m == nil {
			return ""
		}
		add(w.ref(n))
		for _, p := range s.platforms {
			add(p, m.platforms[p])
		}
	}
	return b.String()
}

func (w *world) made(n need) *made {
	if n.image != nil {
		return w.current[n.image]
	}
	return n.outside.made
}

// publish pushes an image outside the graph as it is now.
func (w *world) publish(o *stranger) {
	var config dockerfile.Config
	if o.onBuild {
		config.OnBuild = []string{"COPY trigger.txt /"}
	}
	o.made = makeImage(o.content, config)
	ref, err := registry.ParseReference(w.host + "/" + o.ref)
	check(err)
	w.push(ref, o.made)
}

// make is what a builder makes of an image.
func (w *world) make(s *subject, everything string) *made {
	if s.flat {
		everything = "flat"
	}
	texts := map[string]string{}
	for _, p := range s.platforms {
		texts[p] = fmt.Sprint(s.name, p, everything, s.again)
	}
	return makeImage(texts, dockerfile.Config{})
}

// first is what a plan has to say before anything is built: every image that was never built of what it is now, and all that need it.
func (w *world) first() []string {
	missing := map[*subject]bool{}
	now := maps.Clone(w.current)
	defer func() { w.current = now }()
	w.current = map[*subject]*made{}
	var names []string
	for _, s := range w.images { // parents come first
		m := w.built[w.everything(s)]
		if m == nil {
			missing[s] = true
			names = append(names, s.name)
			continue
		}
		w.current[s] = m
	}
	slices.Sort(names)
	return names
}

// settle builds what has to be built, one after the other, and returns it.
func (w *world) settle() []string {
	w.current = map[*subject]*made{}
	var names []string
	for _, s := range w.images {
		key := w.everything(s)
		if w.built[key] == nil {
			w.built[key] = w.make(s, key)
			names = append(names, s.name)
		}
		w.current[s] = w.built[key]
	}
	slices.Sort(names)
	return names
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
