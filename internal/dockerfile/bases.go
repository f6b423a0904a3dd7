package dockerfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// origin is what a node begins with when it is no stage's child.
type origin struct {
	kind    originKind
	image   int    // of Reach.Images
	context string // the name of a folder's named context
	url     string
}

type originKind int

const (
	ofScratch originKind = iota
	ofImageKind
	ofFolder
	ofURL
)

type imageKey struct {
	reference, target string
	platform          Platform
}

type namedContext struct{ name, value string }

// familiar is an image's name in the form of docker images: without docker.io, library and latest.
func familiar(ref registry.Reference) string {
	name := ref.Name.String()
	if ref.Registry == "docker.io" {
		name = strings.TrimPrefix(ref.Repository, "library/")
	}
	if ref.Tag != "" && (ref.Tag != "latest" || ref.Digest != "") {
		name += ":" + ref.Tag
	}
	if ref.Digest != "" {
		name += "@" + string(ref.Digest)
	}
	return name
}

// lookup finds a named context by an image's name. One for the platform goes before one for all.
func (w *walk) lookup(ref registry.Reference, p Platform) *namedContext {
	if len(w.opt.Contexts) == 0 {
		return nil
	}
	name := familiar(ref)
	for _, key := range []string{name + "::" + p.String(), name} {
		if value, ok := w.opt.Contexts[key]; ok {
			return &namedContext{name: key, value: value}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.opt.Contexts)) {
		if other, err := registry.ParseReference(key); err == nil && familiar(other) == name {
			w.unknown(0, "named context %s: write %s, as docker buildx build replaces %s with it and docker buildx bake does not", key, name, ref)
		}
	}
	return nil
}

// stageContext is the named context that replaces a stage by its name.
func (w *walk) stageContext(n *node) *namedContext {
	if n.stage.Name == "" || n.stage.Name == scratch || n.stage.Name == "context" || len(w.opt.Contexts) == 0 {
		return nil
	}
	ref, err := registry.ParseReference(n.stage.Name)
	if err != nil {
		return nil // a name such as "a-", which no context can have
	}
	return w.lookup(ref, w.platformOf(n))
}

func (w *walk) platformOf(n *node) Platform {
	if n.platform == (Platform{}) {
		return w.opt.Platform
	}
	return n.platform
}

// resolve finds out what all reached stages begin with, and adds the commands of triggers, which may reach more.
func (w *walk) resolve(target *node) error {
	for again := true; again; {
		again = false
		w.reach(target)
		for i := 0; i < len(w.nodes); i++ {
			n := w.nodes[i]
			if !n.reached {
				continue
			}
			if n.parent == nil && !n.resolved {
				n.resolved = true
				if err := w.resolveBase(n); err != nil {
					return err
				}
			}
			added, err := w.trigger(n)
			if err != nil {
				return err
			}
			again = again || added
		}
	}
	return w.refuseCycles()
}

func (w *walk) resolveBase(n *node) error {
	use := n.use
	if n.stage != nil {
		use = Use{Kind: From, Stage: n.label, Line: n.line}
	}
	platform := w.platformOf(n)
	n.platform = platform
	n.done = n.stage == nil || n.context != nil // there is nothing of it to go through
	switch {
	case n.context != nil:
		return w.begin(n, n.context, platform, use)
	case n.base == scratch:
		n.platform = w.opt.Platform
		return nil
	}
	ref, full, err := w.shared.reference(n.base)
	if err != nil {
		if len(n.unset) > 0 {
			err = fmt.Errorf("the argument %s has no value: %w", n.unset[0], err)
		}
		return w.fail(n.line, err)
	}
	if named := w.lookup(ref, platform); named != nil {
		return w.begin(n, named, platform, use)
	}
	return w.beginImage(n, Image{Reference: full, Platform: platform}, use)
}

// begin is for named contexts (frontend/dockerui/namedcontext.go, and what buildx makes of its --build-context).
func (w *walk) begin(n *node, c *namedContext, platform Platform, use Use) error {
	kind, rest, _ := strings.Cut(c.value, ":")
	switch kind {
	case "docker-image":
		name := strings.TrimPrefix(rest, "//")
		if name == scratch {
			return nil
		}
		ref, err := registry.ParseReference(name)
		if err != nil {
			return w.fail(use.Line, fmt.Errorf("named context %s: %w", c.name, err))
		}
		return w.beginImage(n, Image{Reference: ref.String(), Platform: platform}, use)
	case "target":
		return w.beginImage(n, Image{Target: rest, Platform: platform}, use)
	case "oci-layout":
		_, pin, _ := strings.Cut(rest, "@")
		if _, err := cas.ParseDigest(pin); err != nil {
			pin = "" // an @ of the path
		}
		w.beginURL(n, c.value, pin, use)
		n.open = "the configuration of the image in " + c.value + " is not read"
		return w.unknownTriggers(n, use)
	}
	if g, isGit, err := dfgitutil.ParseGitRef(c.value); err == nil {
		w.beginURL(n, c.value, commitOf(g, ""), use)
		return nil
	} else if isGit {
		return w.fail(use.Line, fmt.Errorf("named context %s: %w", c.name, err))
	}
	if kind == "http" || kind == "https" {
		w.beginURL(n, c.value, "", use)
		return nil
	}
	n.origin = origin{kind: ofFolder, context: c.name}
	if n.stage != nil && n.context == nil {
		w.addPattern(c.name, buildcontext.Pattern{Path: "/", Literal: true}, use)
	}
	return nil
}

func (w *walk) beginURL(n *node, url, pin string, use Use) {
	n.origin = origin{kind: ofURL, url: url}
	w.addSource(url, pin, use)
}

func (w *walk) beginImage(n *node, image Image, use Use) error {
	key := imageKey{image.Reference, image.Target, image.Platform}
	at, ok := w.images[key]
	if !ok {
		at = len(w.out.Images)
		w.images[key] = at
		w.out.Images = append(w.out.Images, image)
	}
	w.out.Images[at].Uses = append(w.out.Images[at].Uses, use)
	n.origin = origin{kind: ofImageKind, image: at}
	if n.stage == nil {
		return nil // only copied from
	}
	var config *Config
	if w.opt.Config != nil {
		var err error
		if config, err = w.opt.Config(w.out.Images[at]); err != nil {
			return err
		}
	}
	if config == nil {
		n.open = "the configuration of " + image.Name() + " is not known"
		return w.unknownTriggers(n, use)
	}
	n.config, n.onBuild = ofImage(config.Env), config.OnBuild
	return nil
}

// Name is the reference, or the target of the same graph.
func (i Image) Name() string {
	if i.Target != "" {
		return "target " + i.Target
	}
	return i.Reference
}

// unknownTriggers says that an image may have triggers.
func (w *walk) unknownTriggers(n *node, use Use) error {
	if n.context == nil && n.stage != nil {
		w.unknown(use.Line, "%s: its ONBUILD triggers may reach more", n.open)
	}
	return nil
}

// trigger puts the ONBUILD triggers of what a stage begins with before its own commands. It says whether they reach something.
func (w *walk) trigger(n *node) (bool, error) {
	if n.triggered || n.stage == nil {
		return false, nil
	}
	n.triggered = true
	triggers := n.onBuild
	if n.parent != nil {
		triggers = n.parent.triggers()
	}
	var commands []command
	before := len(n.sources)
	for _, t := range triggers {
		c, err := w.parseTrigger(t, n.line)
		if err != nil {
			return false, err
		}
		if err := w.linkCommand(n, &c); err != nil {
			return false, err
		}
		commands = append(commands, c)
	}
	if len(commands) > 0 {
		n.commands = append(commands, n.commands...)
	}
	return len(n.sources) > before, nil
}

func (w *walk) parseTrigger(text string, line int) (command, error) {
	parsed, err := parser.Parse(strings.NewReader(text))
	if err == nil && len(parsed.AST.Children) != 1 {
		err = fmt.Errorf("it is not one instruction")
	}
	var cmd instructions.Command
	if err == nil {
		parsed.AST.Children[0].PrevComment = nil // see add
		cmd, err = instructions.ParseCommand(parsed.AST.Children[0])
	}
	if err != nil {
		return command{}, w.fail(line, fmt.Errorf("ONBUILD %s: %w", text, err))
	}
	return command{instruction: newInstruction(parsed.AST.Children[0], cmd), line: line, onBuild: true}, nil
}

// triggers are those that the stage's own instructions make.
func (n *node) triggers() []string {
	var list []string
	for _, c := range n.commands {
		if cmd, ok := c.cmd.(*instructions.OnbuildCommand); ok {
			list = append(list, cmd.Expression)
		}
	}
	return list
}
