package sourcehash

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/testenv"
)

// site is a folder with a Dockerfile and what its images answer.
type site struct {
	t       *testing.T
	dir     string
	text    string
	options dockerfile.Options
	images  map[string]string // content of an image, by a part of its reference
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), images: map[string]string{}}
	s.text = `# syntax=docker/dockerfile:1
ARG V=1
ARG UNUSED=1
FROM sdk:$V AS build
ARG MODE=release
COPY src/ /src/
RUN make $MODE
FROM never AS other
COPY other /
FROM scratch
COPY --from=build /out /
COPY run.sh /
`
	s.options = dockerfile.Options{Platform: dockerfile.Platform{OS: "linux", Architecture: "amd64"}, Args: map[string]string{}}
	s.options.Config = func(dockerfile.Image) (*dockerfile.Config, error) { return &dockerfile.Config{}, nil }
	for _, name := range []string{"src/a.c", "src/b.c", "run.sh", "other", "unused"} {
		s.write(name, name)
	}
	return s
}

func (s *site) write(name, text string) {
	s.t.Helper()
	testenv.WriteFile(s.t, filepath.Join(s.dir, name), text)
}

func (s *site) lines() []Line {
	s.t.Helper()
	fail := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	f, err := dockerfile.Parse("Dockerfile", []byte(s.text))
	fail(err)
	r, err := f.Reach(s.options)
	fail(err)
	c, err := buildcontext.NewStore("").Open(s.dir, "")
	fail(err)
	var patterns []buildcontext.Pattern
	for _, p := range r.Files {
		patterns = append(patterns, p.Pattern)
	}
	entries, err := c.Files(context.Background(), patterns)
	fail(err)
	digests := make([]cas.Digest, len(r.Images))
	for i, image := range r.Images {
		digests[i] = cas.DigestOf([]byte(image.Name()))
		for part, content := range s.images {
			if strings.Contains(image.Name(), part) {
				digests[i] = cas.DigestOf([]byte(content))
			}
		}
	}
	list, err := Append(nil, r, s.options.Platform, digests, Files("", entries))
	fail(err)
	return list
}

func (s *site) edit(old, replacement string) {
	s.t.Helper()
	if strings.Count(s.text, old) != 1 {
		s.t.Fatalf("%q is not once in the Dockerfile", old)
	}
	s.text = strings.Replace(s.text, old, replacement, 1)
}

// TestHash_sensitive: what can change the image changes the hash, and the difference says what it was; what cannot does not.
func TestHash_sensitive(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*site)
		want string // kind and name of the only difference, or empty for none
	}{
		{"nothing", func(*site) {}, ""},
		{"a file", func(s *site) { s.write("src/a.c", "new") }, "file src/a.c"},
		{"a mode", func(s *site) { _ = os.Chmod(filepath.Join(s.dir, "run.sh"), 0o755) }, "file run.sh"},
		{"a new file", func(s *site) { s.write("src/c.c", "") }, "file src/c.c"},
		{"a file less", func(s *site) { _ = os.Remove(filepath.Join(s.dir, "src/b.c")) }, "file src/b.c"},
		{"a file of an unreached stage", func(s *site) { s.write("other", "new") }, ""},
		{"a file that nothing copies", func(s *site) { s.write("unused", "new") }, ""},
		{"an instruction", func(s *site) { s.edit("RUN make", "RUN gmake") }, "instruction RUN"},
		{"an instruction of an unreached stage", func(s *site) { s.edit("COPY other /", "RUN x") }, ""},
		{"an argument", func(s *site) { s.options.Args["MODE"] = "debug" }, "argument MODE"},
		{"an argument with the default's value", func(s *site) { s.options.Args["MODE"] = "release" }, ""},
		{"a default", func(s *site) { s.edit("MODE=release", "MODE=debug") }, "argument MODE"},
		{"a default that is not used", func(s *site) { s.options.Args["V"] = "1"; s.edit("V=1", "V=2") }, ""},
		{"an unused argument", func(s *site) { s.options.Args["UNUSED"] = "2" }, ""},
		{"an undeclared argument", func(s *site) { s.options.Args["NONE"] = "2" }, ""},
		{"an argument of the builder", func(s *site) { s.options.Args["BUILDKIT_INLINE_CACHE"] = "1" }, "option BUILDKIT_INLINE_CACHE"},
		{"a parent", func(s *site) { s.images["sdk"] = "new" }, "parent docker.io/library/sdk:1 for linux/amd64"},
		{"an unreached parent", func(s *site) { s.images["never"] = "new" }, ""},
		{"the frontend", func(s *site) { s.images["dockerfile"] = "new" }, "parent docker.io/docker/dockerfile:1 for linux/amd64"},
		{"the escape character", func(s *site) { s.edit("# syntax=docker/dockerfile:1", "# syntax=docker/dockerfile:1\n# escape=`") }, "option escape"},
		{"a comment", func(s *site) { s.edit("RUN make", "# why\nRUN make") }, ""},
		{"a name of a stage", func(s *site) { s.edit("AS build", "AS b"); s.edit("--from=build", "--from=B") }, ""},
		{"an index for a name", func(s *site) { s.edit("--from=build", "--from=0") }, ""},
		{"an unreached stage more", func(s *site) { s.edit("FROM sdk", "FROM x AS x\nFROM sdk") }, ""},
		{"the spelling of an instruction", func(s *site) { s.edit("RUN make", "run make") }, ""},
		{"the name of the target", func(s *site) { s.edit("FROM scratch", "FROM scratch AS end"); s.options.Target = "end" }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			before := s.lines()
			test.do(s)
			after := s.lines()
			var names []string
			for _, c := range Diff(before, after) {
				names = append(names, string(c.Kind)+" "+c.Name)
			}
			if got := strings.Join(names, "; "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if same := Hash(before) == Hash(after); same != (test.want == "") {
				t.Errorf("the hash is the same: %v", same)
			}
		})
	}
}

func TestHash_platformAndOrder(t *testing.T) {
	s := newSite(t)
	before := s.lines()
	s.options.Platform.Architecture = "arm64"
	if after := s.lines(); Hash(before) == Hash(after) {
		t.Error("the platform does not count")
	}
	s = newSite(t)
	s.edit("COPY --from=build /out /\nCOPY run.sh /", "COPY run.sh /\nCOPY --from=build /out /")
	after := s.lines()
	if Hash(before) == Hash(after) || len(Diff(before, after)) == 0 {
		t.Error("the order does not count")
	}
	// fields have their lengths before them: nothing can move from one to the next
	if Hash([]Line{{"a", "b", "c"}}) == Hash([]Line{{"a", "bc", ""}}) || Hash(nil) == Hash([]Line{{}}) {
		t.Error("two lists have one hash")
	}
	// a hash that is in registries must stay what it is
	const want = "sha256:d16d608855b7c416c50e5be8c77b8b42e37c293fb650a2a1c89196806d284eb6"
	if got := Hash([]Line{{"kind", "name", "value"}}); got != want {
		t.Errorf("got %s", got)
	}
}

func TestDiff(t *testing.T) {
	run := func(values ...string) (list []Line) {
		for _, v := range values {
			list = append(list, Line{"instruction", "RUN", v})
		}
		return list
	}
	for _, test := range []struct {
		was, now []Line
		want     []Change
	}{
		{run("a", "b"), run("a", "b"), nil},
		{run("a", "b"), run("a", "x", "b"), []Change{{Kind: "instruction", Name: "RUN", Now: "x", Added: true}}},
		{run("a", "b"), run("b"), []Change{{Kind: "instruction", Name: "RUN", Was: "a", Removed: true}}},
		{run("a", "b"), run("a", "c"), []Change{{Kind: "instruction", Name: "RUN", Was: "b", Now: "c"}}},
		{nil, []Line{{"file", "x", "1"}}, []Change{{Kind: "file", Name: "x", Now: "1", Added: true}}},
		{[]Line{{"a", "", ""}, {"b", "", ""}}, []Line{{"b", "", ""}, {"a", "", ""}}, []Change{{Kind: "instruction", Name: "order"}}},
	} {
		if d := cmp.Diff(test.want, Diff(test.was, test.now)); d != "" {
			t.Error(d)
		}
	}
}

// TestAppend_fields: each field of what is folded has a place in the list.
func TestAppend_fields(t *testing.T) {
	hash := func(source dockerfile.Source, context string, e buildcontext.Entry) cas.Digest {
		list, err := Append(nil, &dockerfile.Reach{Sources: []dockerfile.Source{source}}, dockerfile.Platform{}, nil,
			Files(context, []buildcontext.Entry{e}))
		if err != nil {
			t.Fatal(err)
		}
		return Hash(list)
	}
	seen := map[cas.Digest]int{}
	for i, h := range []cas.Digest{
		hash(dockerfile.Source{}, "", buildcontext.Entry{}),
		hash(dockerfile.Source{URL: "u"}, "", buildcontext.Entry{}),
		hash(dockerfile.Source{Pin: "u"}, "", buildcontext.Entry{}),
		hash(dockerfile.Source{}, "c", buildcontext.Entry{}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Path: "p"}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Mode: 0o1}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Mode: fs.ModeDir | 0o1}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Mode: fs.ModeSymlink}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Mode: fs.ModeSymlink, Link: "l"}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Digest: "d"}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Attributes: "d"}),
		hash(dockerfile.Source{}, "c", buildcontext.Entry{Path: "p"}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Path: `"c": p`}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Path: `"\"c\": p"`}),
		hash(dockerfile.Source{}, "c", buildcontext.Entry{Path: "\xff"}),
		hash(dockerfile.Source{}, "c", buildcontext.Entry{Path: `"\xff"`}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Path: "\xff"}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Path: "\xfe"}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Mode: fs.ModeDevice}),
		hash(dockerfile.Source{}, "", buildcontext.Entry{Mode: fs.ModeDevice, Device: 1}),
	} {
		if j, ok := seen[h]; ok {
			t.Errorf("%d and %d have one hash", j, i)
		}
		seen[h] = i
	}
}

// TestFiles_text: a record keeps lines as JSON, which has no bytes that are no text.
func TestFiles_text(t *testing.T) {
	for _, l := range append(Files("", []buildcontext.Entry{{Path: "\xff"}}), Files("c", []buildcontext.Entry{{Path: "a\xff"}})...) {
		data, err := json.Marshal(l)
		var again Line
		if err == nil {
			err = json.Unmarshal(data, &again)
		}
		if err != nil || again != l {
			t.Errorf("%q: got %q, %v", l, again, err)
		}
	}
}

func TestAppend_refused(t *testing.T) {
	r := &dockerfile.Reach{Images: []dockerfile.Image{{Reference: "x"}}}
	if _, err := Append(nil, r, dockerfile.Platform{}, nil, nil); err == nil {
		t.Error("an image without a digest was folded")
	}
	if _, err := Append(nil, r, dockerfile.Platform{}, []cas.Digest{""}, nil); err == nil {
		t.Error("an empty digest was folded")
	}
}
