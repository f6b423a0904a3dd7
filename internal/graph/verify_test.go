package graph

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/imagelist"
)

// verified are the findings as text, with DIR for the folder: problems, then "?" with warnings, then "!" with what was not answered.
func (s *site) verified(offline bool) []string {
	s.Helper()
	o := Options{Files: buildcontext.NewStore("")}
	if !offline {
		o.Registry = s.fake
	}
	found, err := Verify(s.Context(), s.specs, o)
	if err != nil {
		s.Fatal(err)
	}
	var list []string
	for _, group := range []struct {
		mark string
		errs []error
	}{{"", found.Problems}, {"?", found.Warnings}, {"!", found.Unasked}} {
		for _, e := range group.errs {
			list = append(list, group.mark+string(diag.CodeOf(e))+" "+strings.ReplaceAll(e.Error(), s.dir, "DIR"))
		}
	}
	return list
}

// All that is wrong is told in one run, each with its place.
func TestVerify_all(t *testing.T) {
	s := newSite(t,
		[2]string{"one", short("FROM @two\n")},
		[2]string{"two", short("FROM @alpine\nRUN x\nCOPY --from=@three /x /\n")},
		[2]string{"three", short("FROM scratch\nCOPY --from=@one /x /\n")},
		[2]string{"self", short("FROM @self\n")},
		[2]string{"broken", short("FROM @alpine\nNONSENSE\n")},
		[2]string{"gone", short("FROM @alpine\nCOPY --from=@nowhere /x /\n")},
		[2]string{"gone2", short("FROM @alpine\nRUN x\nCOPY --from=@nowhere /x /\n")},
		[2]string{"old", "FROM registry.test/two:01\n"},
		[2]string{"child", short("FROM @broken\nCOPY missing /\n")},
		[2]string{"stage", short("FROM @alpine AS runtime\n")},
		[2]string{"arch", short("FROM @multi\n")},
		[2]string{"arguments", short("ARG TAG\nFROM @alpine AS base\nARG VERSION=1\nARG DIR\nFROM base$TAG\nCOPY --from=base a$DIR /\nARG EMPTY\n")},
		[2]string{"double", "FROM scratch\n"})
	s.fake.push(reference(t, "registry.test/multi:1"), makeImage(map[string]string{"linux/amd64": "", "linux/arm64": ""}, dockerfile.Config{}))
	s.spec("stage").Target = "runtme"
	s.spec("arch").Platforms = []string{"linux/s390x"}
	s.spec("double").Tags = []string{"registry.test/one:1"}
	x := "x"
	s.spec("arguments").Args = map[string]*string{"VERISON": &x, "EMPTY": nil, "VERSION": nil, "http_proxy": &x}
	s.spec("child").Args = map[string]*string{"VERISON": &x}
	s.want(s.verified(false),
		`GANTRY6012 list:double: image double: the tag registry.test/one:1 is made twice, also by one (list:one); one of the two would replace the other: give each a tag of its own`,
		`GANTRY6001 list:broken: image broken: DIR/broken/Dockerfile:2: unknown instruction: NONSENSE; BuildKit would refuse it too`,
		`GANTRY6001 list:stage: image stage: DIR/stage/Dockerfile: there is no stage "runtme" to be the target: is runtime meant?; BuildKit would refuse it too`,
		`GANTRY6010 list:one: image one: it needs itself: one needs two needs three needs one (DIR/one/Dockerfile:1, DIR/two/Dockerfile:3, DIR/three/Dockerfile:2); break the cycle`,
		`GANTRY6010 list:self: image self: it needs itself: self needs self (DIR/self/Dockerfile:1); break the cycle`,
		`GANTRY6011 list:gone: image gone and 1 more: DIR/gone/Dockerfile:2: registry.test/nowhere:1 is not made by the graph: registry.test/nowhere 1: not found; check the name, or add the image to the list`,
		`GANTRY6011 list:old: image old: DIR/old/Dockerfile:1: registry.test/two:01 is not made by the graph: registry.test/two 01: not found; is registry.test/two:1 meant?`,
		`GANTRY6002 list:child: image child: DIR/child/Dockerfile:2: "missing" is not in the build context DIR/child; the build would fail`,
		`GANTRY6013 list:arch: image arch: DIR/arch/Dockerfile:1: registry.test/multi:1 is not there for linux/s390x, only for linux/amd64, linux/arm64; name another image`,
		`GANTRY6008 list:arguments: image arguments: DIR/arguments/Dockerfile:6: the argument DIR has no value; give it one in the list, or a default in the Dockerfile, which may be empty: ARG DIR=`,
		`GANTRY6008 list:arguments: image arguments: DIR/arguments/Dockerfile:5: the argument TAG has no value; give it one in the list, or a default in the Dockerfile, which may be empty: ARG TAG=`,
		`GANTRY6008 list:arguments: image arguments: the argument EMPTY has no value; give it one, or a default in the Dockerfile`,
		`?GANTRY6014 list:child: image child and 1 more: no Dockerfile that is given the build argument VERISON has an ARG of that name; is VERSION meant?`)
}

// What is right is not told, and what is a likely slip is a warning.
func TestVerify_doubts(t *testing.T) {
	s := newSite(t,
		[2]string{"base", short("FROM @alpine\nONBUILD ARG FLAG\nONBUILD COPY file /\n")},
		[2]string{"a", short("FROM @base\nCOPY file /\n")},
		[2]string{"b", "FROM registry.test/base:0.9\n"},
		[2]string{"none", "FROM scratch\n"}, [2]string{"none2", "FROM scratch\n"},
		[2]string{"foreign", "# syntax=registry.test/golang:1\nwhatever\n"})
	old9 := makeImage(map[string]string{"linux/amd64": ""}, dockerfile.Config{})
	s.fake.push(reference(t, "registry.test/base:0.9"), old9)
	s.add("pinned", "FROM registry.test/base:0.9@"+string(old9.root)+"\n") // on purpose
	s.spec("none").Tags, s.spec("none2").Tags = nil, nil
	x := "x"
	s.spec("a").Args = map[string]*string{"FLAG": &x}
	s.spec("foreign").Args = map[string]*string{"ANY": &x}
	old := `?GANTRY6014 list:b: image b: DIR/b/Dockerfile:1: registry.test/base:0.9 is in a repository of the list, and no image of the list has that tag: nothing here builds it again; add it to the list, or name a tag of it, such as 1`
	tagless := `?GANTRY6014 list:none: image none and 1 more: it has no tag, so that nothing says whether it is there: it is always built; give it a tag`
	s.want(s.verified(false), old, tagless)
	s.fake.reset()
	s.want(s.verified(true), old, tagless)
	if n := len(s.fake.asked); n > 0 {
		t.Errorf("%d questions without a registry", n)
	}
}

// A registry that is down says nothing of the images, and all else is told.
func TestVerify_down(t *testing.T) {
	s := newSite(t, [2]string{"a", short("FROM @alpine\nCOPY missing /\n")}, [2]string{"b", short("FROM @alpine\n")})
	s.fake.fail = func(string, string) error { return errDown }
	s.want(s.verified(false),
		`GANTRY6002 list:a: image a: DIR/a/Dockerfile:2: "missing" is not in the build context DIR/a; the build would fail`,
		`!CONTAINER1017 list:a: image a and 1 more: DIR/a/Dockerfile:1: no connection: connection refused; run again`)
}

// Folders and files of the list that are not there are told once.
func TestVerify_folders(t *testing.T) {
	s := newSite(t, [2]string{"a", "FROM scratch\nCOPY x /\n"}, [2]string{"b", "FROM scratch\nCOPY --from=other / /\n"}, [2]string{"c", ""})
	s.spec("a").Context = filepath.Join(s.dir, "nothing")
	s.spec("b").Platforms = []string{"linux/a/b/c", "linux/amd64"}
	s.spec("b").Contexts = map[string]string{"other": filepath.Join(s.dir, "a", "file"), "x": "target:bb"}
	check(os.Remove(s.spec("c").Dockerfile))
	s.want(s.verified(false),
		`GANTRY6008 list:a: image a: the context DIR/nothing is not there; check the path`,
		`GANTRY6008 list:b: image b: "linux/a/b/c" is no platform; write os/architecture or os/architecture/variant, such as linux/arm64`,
		`GANTRY6008 list:b: image b: the context other, DIR/a/file, is not a folder; check the path`,
		`GANTRY6008 list:b: image b: the context x is target:bb, and there is no image of that name; is target:b meant?`,
		`GANTRY6001 list:c: image c: a Dockerfile cannot be read: stat DIR/c/Dockerfile: no such file or directory; check the path and its rights`)
}

// Versions of Windows share the tag of an index. Which of them a builder takes for a parent of that tag is not known, so that its children
// are always built, after all of them.
func TestNew_sharedByVersion(t *testing.T) {
	s := newSite(t, [2]string{"old", "FROM scratch\n"}, [2]string{"new", "FROM scratch\n"}, [2]string{"child", short("FROM registry.test/win:1\n")})
	for k, version := range []string{"nanoserver-1809", "nanoserver-ltsc2025"} {
		s.specs[k].SharedTags, s.specs[k].Info = []string{"registry.test/win:1"}, &imagelist.InfoKey{OSVersion: version}
	}
	g, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	child := g.Find("child")
	if len(child.Parents) != 2 || len(child.Unknown) != 1 || !strings.Contains(child.Unknown[0].Text, "registry.test/win:1 is old and new for linux/amd64") {
		t.Errorf("%d parents, unknown %v", len(child.Parents), child.Unknown)
	}
	if p := s.mustPlan(); p.Step(p.graph.Find("child")).Wave != 1 {
		t.Error("the child is not built after its parents")
	}
	s.specs[1].Info.OSVersion = "nanoserver-1809"
	_, err = s.build()
	wantError(t, err, diag.DoubleTag, "two images for linux/amd64", "list:old", "list:new")
}

// Discovered images name each other by repository, also in an argument.
func TestNew_discovered(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"base/Dockerfile": "FROM scratch\n", "tools/Lint/Containerfile.alpine": "ARG BASE=registry.test/acme/base\nFROM ${BASE}\n",
		"app/Dockerfile": "ARG REGISTRY=registry.test/acme\nFROM scratch\nCOPY --from=registry.test/acme/tools/lint-alpine / /\n",
	} {
		check(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	specs, err := imagelist.Load(dir, imagelist.Options{Repository: "registry.test/acme"})
	check(err)
	g, err := New(t.Context(), specs, Options{Registry: newFake(), Files: buildcontext.NewStore("")})
	check(err)
	for child, parent := range map[string]string{"app": "tools/lint-alpine", "tools/lint-alpine": "base"} {
		if p := g.Find(child).Parents; len(p) != 1 || p[0] != g.Find(parent) {
			t.Errorf("%s: %v", child, p)
		}
	}
}
