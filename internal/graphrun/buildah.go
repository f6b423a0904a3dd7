package graphrun

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
)

// Buildah builds with buildah bud and pushes with buildah push. Registries, storage and isolation are those of its own files and environment
// (registries.conf, storage.conf, BUILDAH_ISOLATION). An image for one platform stays in its storage only until it is pushed; of one for several
// platforms the list goes, and buildah rmi --prune removes the rest.
type Buildah struct {
	*Programs
	// PushExtra are more arguments of the push.
	PushExtra []string
}

// Build implements Builder.
func (b Buildah) Build(ctx context.Context, j *Job) (*Made, error) {
	contexts, err := j.buildahContexts()
	if err != nil {
		return nil, err
	}
	common, err := j.common(contexts)
	if err != nil {
		return nil, err
	}
	if len(j.Platforms) > 1 {
		return b.several(ctx, j, common)
	}
	args := slices.Concat([]string{"bud", "--iidfile", j.Dir + "/id"}, common, b.Extra, []string{j.context()})
	if _, err := b.start(ctx, j, nil, "buildah", args...); err != nil {
		return nil, err
	}
	made := &Made{}
	if made.Builder.ImageID, err = j.file("id"); err != nil {
		return nil, err
	}
	id := strings.TrimSpace(string(made.Builder.ImageID))
	defer b.discard(ctx, j, "rmi", id)
	if err := j.beganWithPins(); err != nil {
		return nil, err
	}
	if err := b.push(ctx, j, "push", id); err != nil {
		return nil, err
	}
	made.Digest, err = j.digest("digest")
	return made, err
}

// several builds a list of images for several platforms.
func (b Buildah) several(ctx context.Context, j *Job, common []string) (*Made, error) {
	list := "localhost/gantry-graph:" + cas.DigestOf([]byte(j.Dir)).Hex()
	args := slices.Concat([]string{"bud", "--manifest", list}, common, b.Extra, []string{j.context()})
	if _, err := b.start(ctx, j, nil, "buildah", args...); err != nil {
		return nil, err
	}
	defer b.discard(ctx, j, "manifest", "rm", list)
	if err := j.beganWithPins(); err != nil {
		return nil, err
	}
	if err := b.push(ctx, j, "manifest", "push", "--all", list); err != nil {
		return nil, err
	}
	digest, err := j.digest("digest")
	return &Made{Digest: digest}, err
}

// push pushes under all tags, the first one last: its digest is the one that is kept.
func (b Buildah) push(ctx context.Context, j *Job, args ...string) error {
	local := args[len(args)-1]
	for _, tag := range slices.Backward(j.Spec.Tags) {
		one := slices.Concat(args[:len(args)-1], b.PushExtra, []string{"--digestfile", j.Dir + "/digest", local, "docker://" + tag})
		text, err := b.start(ctx, j, nil, "buildah", one...)
		if err != nil {
			return err
		}
		// buildah manifest push may end well and write no digest when it failed (seen with 1.28).
		if data, err := j.file("digest"); err != nil || len(data) == 0 {
			return diag.Wrap(diag.BuildFailed, err, "the push of "+j.Spec.Name+" to "+tag+" failed:\n"+tail(text), "see what buildah printed")
		}
	}
	return nil
}

// discard removes what is not needed any more. What stays costs space only.
func (b Buildah) discard(ctx context.Context, j *Job, args ...string) {
	_, _ = b.start(ctx, j, nil, "buildah", args...)
}

// buildahContexts are the named contexts with a key for every way in which buildah may meet an image.
func (j *Job) buildahContexts() (map[string]string, error) {
	contexts, err := j.named()
	if err == nil {
		err = j.ignoresNamed()
	}
	if err != nil {
		return nil, err
	}
	stages, err := j.froms()
	if err != nil {
		return nil, err
	}
	j.spellNamed(contexts, stages)
	for _, reference := range j.images() {
		if j.frontend(reference) {
			continue
		}
		keys := spellings(reference)
		for _, use := range j.uses(reference) {
			for _, f := range stages {
				if use.Kind == dockerfile.From && use.Line == f.line {
					keys = append(keys, f.base)
				}
			}
		}
		for _, key := range keys {
			if isStage(stages, key) {
				if slices.ContainsFunc(stages, func(f from) bool { return f.base == key }) {
					return nil, j.stageTaken(reference, key)
				}
				continue
			}
			// An = would end the name: then what the stage began with says that it was not replaced.
			if _, taken := contexts[key]; !taken && !strings.Contains(key, "=") {
				contexts[key] = imageScheme + j.Pins[reference]
			}
		}
	}
	return contexts, nil
}

// spellNamed adds to the named contexts of the list every way to write an image in whose place one stands: for BuildKit that of busybox stands
// for docker.io/library/busybox:latest too.
func (j *Job) spellNamed(contexts map[string]string, stages []from) {
	for _, name := range slices.Sorted(maps.Keys(contexts)) {
		ref, err := registry.ParseReference(name)
		if err != nil {
			continue
		}
		for _, key := range spellings(ref.String()) {
			if _, taken := contexts[key]; !taken && !isStage(stages, key) {
				contexts[key] = contexts[name]
			}
		}
	}
}

// ignoresNamed refuses a named context with an ignore file: BuildKit obeys it, and so does the image's hash, and buildah copies what it leaves out
// (seen with 1.28).
func (j *Job) ignoresNamed() error {
	for _, v := range j.image.Variants {
		if v.Reach == nil {
			continue
		}
		for _, p := range v.Reach.Files {
			file := filepath.Join(j.Spec.Contexts[p.Context], ".dockerignore")
			if fi, err := os.Stat(file); p.Context != "" && err == nil && fi.Size() > 0 {
				return diag.New(diag.BuilderUnusable, fmt.Sprintf("image %s: buildah does not read %s of the named context %s", j.Spec.Name, file, p.Context),
					"use another builder, or a folder without an ignore file")
			}
		}
	}
	return nil
}

var step = regexp.MustCompile(`^(?:\[[^]]*\] )*STEP \d+(?:/\d+)?: FROM (?:--\S+ )*(\S+)`)

// beganWithPins proves from what buildah printed that no stage began with an image by its tag: a base that was not replaced is not the one that
// the image's hash has.
func (j *Job) beganWithPins() error {
	stages, err := j.froms()
	if err != nil {
		return err
	}
	if len(j.began) == 0 {
		return diag.New(diag.BuildFailed, "buildah does not say what the stages of "+j.Spec.Name+" began with", "let it print its steps: without --quiet")
	}
	for _, base := range j.began {
		if base == "scratch" || strings.Contains(base, "@sha256:") || isStage(stages, base) || isNumber(base) || isImageID(base) {
			continue
		}
		return diag.New(diag.BuildFailed, "buildah began a stage of "+j.Spec.Name+" with "+base+" and not with the digest that it was given",
			"write the image in FROM without quotes and escapes, or use another builder")
	}
	return nil
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

func isImageID(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }
