package graph

import (
	"fmt"
	"os"

	"pgregory.net/rapid"
)

var bothPlatforms = []string{"linux/amd64", "linux/arm64"}

// draw makes a world of a few images in random relations.
func draw(t *rapid.T, w *world) {
	w.files, w.built, w.current = map[string]map[string]file{}, map[string]*made{}, map[*subject]*made{}
	w.shared = rapid.Bool().Draw(t, "shared")
	for k := range 2 {
		o := &stranger{ref: fmt.Sprintf("outside%d:1", k), content: map[string]string{}}
		for _, p := range bothPlatforms {
			o.content[p] = "0"
		}
		w.outside = append(w.outside, o)
		w.publish(o)
	}
	platforms := bothPlatforms[:rapid.IntRange(1, 2).Draw(t, "platforms")]
	for k := range rapid.IntRange(3, 6).Draw(t, "images") {
		s := &subject{name: fmt.Sprintf("image%d", k), platforms: platforms, comment: "x", label: "1", mode: rapid.SampledFrom([]string{"", "0"}).Draw(t, "mode")}
		s.base = w.drawNeed(t, k)
		for range rapid.IntRange(0, 2).Draw(t, "tools") {
			s.tools = append(s.tools, w.drawNeed(t, k))
		}
		for range rapid.IntRange(0, 1).Draw(t, "copies") {
			s.copies = append(s.copies, w.drawNeed(t, k))
		}
		s.copied = []*file{{"a", "0", 0o644}, {"b", "0", 0o755}}
		s.folder = []*file{{"c", "0", 0o644}, {"d", "0", 0o644}}
		s.ignored, s.unused = []*file{{"e", "0", 0o644}}, []*file{{"f", "0", 0o644}}
		s.trigger = &file{"trigger.txt", "0", 0o644}
		s.onBuild, s.flat = rapid.Bool().Draw(t, "onbuild"), rapid.IntRange(0, 3).Draw(t, "flat") == 0
		w.images = append(w.images, s)
	}
	for _, s := range w.images {
		s.dead = w.drawNeed(t, len(w.images)) // any: a stage that is not used makes no edge
		w.write(s)
	}
}

// drawNeed draws an image before the k-th, or one outside.
func (w *world) drawNeed(t *rapid.T, k int) need {
	n := rapid.IntRange(0, k+len(w.outside)-1).Draw(t, "need")
	if n < len(w.outside) {
		return need{outside: w.outside[n]}
	}
	return need{image: w.images[n-len(w.outside)]}
}

// change is what a mutation does. Those that build something again return the image.
type change struct {
	name string
	do   func(t *rapid.T, w *world, s *subject, k int) (again *subject)
}

// value draws one of few, so that earlier states come back.
func value(t *rapid.T) string { return rapid.SampledFrom([]string{"0", "1", "2"}).Draw(t, "value") }

func edit(name string, do func(t *rapid.T, s *subject)) change {
	return change{name, func(t *rapid.T, w *world, s *subject, _ int) *subject {
		do(t, s)
		w.write(s)
		return nil
	}}
}

// touch changes a file in a way that is always seen: another text, or another mode.
func touch(t *rapid.T, f *file) {
	if f.text = value(t); rapid.Bool().Draw(t, "chmod") {
		f.mode = rapid.SampledFrom([]os.FileMode{0o644, 0o755}).Draw(t, "mode")
	}
}

func flip(b *bool) { *b = !*b }

var changes = []change{
	edit("a copied file", func(t *rapid.T, s *subject) { touch(t, s.copied[0]) }),
	edit("a file of a copied folder", func(t *rapid.T, s *subject) { touch(t, s.folder[0]) }),
	edit("a mode", func(_ *rapid.T, s *subject) { s.copied[1].mode ^= 0o111 }),
	edit("a name in a folder", func(t *rapid.T, s *subject) { s.folder[1].name = "d" + value(t) }),
	edit("a name of a copied file", func(t *rapid.T, s *subject) { s.copied[0].name = "a" + value(t) }),
	edit("a new file", func(_ *rapid.T, s *subject) {
		s.folder = append(s.folder, &file{fmt.Sprint("new", len(s.folder)), "0", 0o644})
	}),
	edit("a deleted file", func(_ *rapid.T, s *subject) { s.folder = s.folder[:max(2, len(s.folder)-1)] }),
	edit("a file that nobody copies", func(t *rapid.T, s *subject) { touch(t, s.unused[0]) }),
	edit("an ignored file", func(t *rapid.T, s *subject) { touch(t, s.ignored[0]) }),
	edit("the trigger's file", func(t *rapid.T, s *subject) { touch(t, s.trigger) }),
	edit("a comment and a stage that is not used", func(t *rapid.T, s *subject) { s.comment = value(t) }),
	edit("an argument", func(t *rapid.T, s *subject) { s.mode = value(t) }),
	edit("an argument that nobody declares", func(t *rapid.T, s *subject) { s.stray = value(t) }),
	edit("an instruction", func(t *rapid.T, s *subject) { s.run = value(t) }),
	edit("a trigger", func(_ *rapid.T, s *subject) { flip(&s.onBuild) }),
	edit("a label", func(t *rapid.T, s *subject) { s.label = value(t) }),
	{"nothing", func(*rapid.T, *world, *subject, int) *subject { return nil }},
	{"a parent of its own", func(t *rapid.T, w *world, s *subject, k int) *subject {
		all := []*need{&s.base}
		for j := range s.tools {
			all = append(all, &s.tools[j])
		}
		*rapid.SampledFrom(all).Draw(t, "parent") = w.drawNeed(t, k)
		w.write(s)
		return nil
	}},
	{"an image outside, for one platform", func(t *rapid.T, w *world, _ *subject, _ int) *subject {
		o := rapid.SampledFrom(w.outside).Draw(t, "outside")
		o.content[rapid.SampledFrom(bothPlatforms).Draw(t, "platform")] = value(t)
		w.publish(o)
		return nil
	}},
	{"a trigger of an image outside", func(t *rapid.T, w *world, _ *subject, _ int) *subject {
		o := rapid.SampledFrom(w.outside).Draw(t, "outside")
		flip(&o.onBuild)
		w.publish(o)
		return nil
	}},
	{"the name of an image", func(t *rapid.T, w *world, s *subject, k int) *subject {
		s.name = fmt.Sprintf("image%d%s", k, rapid.SampledFrom([]string{"", "x"}).Draw(t, "name"))
		for _, s := range w.images {
			w.write(s)
		}
		return nil
	}},
	{"other bytes of equal source", func(_ *rapid.T, _ *world, s *subject, _ int) *subject {
		s.again++
		return s
	}},
}
