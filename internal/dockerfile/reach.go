package dockerfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/registry"
)

// Reach says what a target reaches. Errors are GANTRY6001, with file and line, and those of Options.Config.
func (f *File) Reach(opt Options) (*Reach, error) {
	if opt.Platform.OS == "" {
		return nil, errors.New("no platform to build for")
	}
	if opt.Builder == (Platform{}) {
		opt.Builder = opt.Platform
	}
	w := &walk{
		File: f, opt: &opt, desk: f.shared.desk(f.escape), byName: map[string]*node{}, out: &Reach{},
		images: map[imageKey]int{}, urls: map[string]int{}, said: map[Reason]bool{},
	}
	defer f.shared.desks.Put(w.desk)
	like := f.shared.expected()
	w.nodes, w.out.Images = make([]*node, 0, like.nodes), make([]Image, 0, like.images)
	foreign, err := w.frontend()
	if err != nil || foreign {
		return w.out, err
	}
	if err := w.globalArgs(); err != nil {
		return nil, err
	}
	if err := w.addStages(); err != nil {
		return nil, err
	}
	target, err := w.target()
	if err != nil {
		return nil, err
	}
	if err := w.link(); err != nil {
		return nil, err
	}
	if err := w.resolve(target); err != nil {
		return nil, err
	}
	w.options()
	if err := w.dispatchAll(target); err != nil {
		return nil, err
	}
	w.finish(target)
	f.shared.share(w)
	return w.out, nil
}

// frontend is the image of "# syntax=", or of the argument that overrides it. Another frontend than Docker's may read anything.
func (w *walk) frontend() (foreign bool, err error) {
	name, line := w.syntax, w.syntaxLine
	if given, ok := w.opt.Args["BUILDKIT_SYNTAX"]; ok {
		name, _, _ = strings.Cut(strings.TrimSpace(given), " ")
		line = 0
	}
	if name == "" {
		if w.foreign != nil {
			return false, w.foreign
		}
		return false, nil
	}
	ref, err := registry.ParseReference(name)
	if err != nil {
		return false, w.fail(line, fmt.Errorf("syntax: %w", err))
	}
	image := Image{Reference: ref.String(), Platform: w.opt.Builder, Uses: []Use{{Kind: Syntax, Line: line}}}
	w.images[imageKey{image.Reference, "", image.Platform}] = 0
	w.out.Images = append(w.out.Images, image)
	if isDockerfileFrontend(name) {
		return false, w.foreign
	}
	w.unknown(line, "%s is not Docker's frontend: what it reads is not known", name)
	return true, nil
}

const sourceDate = "SOURCE_DATE_EPOCH"

// options are build arguments that the builder itself reads, whether a stage declares them or not. Those of proxies are left out on purpose:
// BuildKit gives them to commands and does not let them change what is cached.
func (w *walk) options() {
	for _, name := range slices.Sorted(maps.Keys(w.opt.Args)) {
		if strings.HasPrefix(name, "BUILDKIT_") && name != "BUILDKIT_SYNTAX" {
			w.content("option", name, w.opt.Args[name])
		}
	}
	if w.escape != parser.DefaultEscapeToken {
		w.content("option", "escape", string(w.escape)) // the same words mean something else
	}
	value, ok := w.opt.Args[sourceDate]
	if !ok {
		value, _ = w.global.get(sourceDate) // a default before the first FROM counts too
	}
	if value == "" {
		return
	}
	w.content("option", sourceDate, value)
	if _, err := strconv.ParseInt(value, 10, 64); err != nil {
		w.unknown(0, "%s=%s is the time of a source, which the build reads", sourceDate, value)
	}
}

// finish tells of the stages and of the target's configuration.
func (w *walk) finish(target *node) {
	for _, n := range w.nodes {
		if n.reached && n.stage != nil {
			w.out.Stages = append(w.out.Stages, Stage{Name: n.label, Line: n.line, Platform: n.platform})
			for _, name := range n.unset {
				w.out.Unset = append(w.out.Unset, Unset{Name: name, Use: Use{Kind: From, Stage: n.label, Line: n.line}})
			}
		}
	}
	if target.context != nil && target.origin.kind == ofFolder {
		w.whole(target, Use{Kind: From, Stage: target.label, Line: target.line})
	}
	w.out.Config, w.out.ConfigKnown = Config{OnBuild: target.triggers(), Env: target.config.list()}, target.open == ""
}

// whole says that all files of the named context that replaces a stage are read.
func (w *walk) whole(n *node, use Use) {
	w.addPattern(n.origin.context, buildcontext.Pattern{Path: "/", Literal: true}, use)
}

func (w *walk) addPattern(context string, p buildcontext.Pattern, use Use) {
	p.Where = w.name + ":" + strconv.Itoa(use.Line)
	w.out.Files = append(w.out.Files, Pattern{Context: context, Pattern: p, Use: use})
}

func (w *walk) addSource(url, pin string, use Use) {
	key := url + " " + pin
	at, ok := w.urls[key]
	if !ok {
		at = len(w.out.Sources)
		w.urls[key] = at
		w.out.Sources = append(w.out.Sources, Source{URL: url, Pin: pin})
	}
	w.out.Sources[at].Uses = append(w.out.Sources[at].Uses, use)
	if pin == "" {
		w.unknown(use.Line, "%s has no checksum and no commit: what it answers is not known", PublicURL(url))
	}
}

func (w *walk) unknown(line int, format string, args ...any) {
	r := Reason{Line: line, Text: fmt.Sprintf(format, args...)}
	if !w.said[r] {
		w.said[r] = true
		w.out.Unknown = append(w.out.Unknown, r)
	}
}

func (w *walk) content(kind, name, value string) {
	w.desk.content = append(w.desk.content, Item{Kind: kind, Name: name, Value: value})
}
