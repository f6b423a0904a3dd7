package graphrun

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/engine"
)

// Docker builds and pushes with docker buildx build. The stamp is held to the provenance that BuildKit writes into the metadata file.
type Docker struct{ *Programs }

// toRegistry is --push without unpacking the image on this machine as well, which takes time and here helps nobody. docker buildx does so by itself
// since 0.31 (pull request 3519), and Docker 28 and before unpack all the same (moby pull request 51493).
const toRegistry = "--output=type=image,push=true,unpack=false"

// attempts is how often a build is tried whose snapshot containerd lost (moby/buildkit issue 6521). Nothing was pushed then, and the same build
// succeeds.
const attempts = 3

// Build implements Builder.
func (d Docker) Build(ctx context.Context, j *Job) (*Made, error) {
	contexts, syntax, err := j.dockerContexts()
	if err != nil {
		return nil, err
	}
	common, err := j.common(contexts)
	if err != nil {
		return nil, err
	}
	metadata := j.Dir + "/metadata.json"
	args := append([]string{"buildx", "build", toRegistry, "--progress", "plain", "--metadata-file", metadata}, common...)
	if syntax != "" {
		args = append(args, "--build-arg", "BUILDKIT_SYNTAX="+syntax)
	}
	for _, tag := range j.Spec.Tags {
		args = append(args, "--tag", tag)
	}
	args = append(args, d.Extra...)
	if err := d.build(ctx, j, append(args, j.context())); err != nil {
		return nil, err
	}
	made := &Made{}
	if made.Builder.Metadata, err = j.file("metadata.json"); err != nil {
		return nil, err
	}
	made.Digest, err = MetadataDigest(made.Builder.Metadata)
	return made, err
}

func (d Docker) build(ctx context.Context, j *Job, args []string) error {
	for n := 1; ; n++ {
		text, err := d.start(ctx, j, []string{"BUILDX_METADATA_PROVENANCE=max"}, "docker", args...)
		if err == nil || ctx.Err() != nil || n == attempts || !engine.LostSnapshot.MatchString(text) {
			return err
		}
	}
}

// MetadataDigest is the digest of what was pushed, by the metadata file of docker buildx.
func MetadataDigest(data []byte) (cas.Digest, error) {
	var m struct {
		Digest cas.Digest `json:"containerimage.digest"`
	}
	if err := json.Unmarshal(data, &m); err != nil || m.Digest == "" {
		return "", diag.Wrap(diag.InvalidBuilderFile, err, "the builder's metadata file names no image that was pushed", "give the file of docker buildx build --push")
	}
	return m.Digest, nil
}

// dockerContexts are the named contexts with a key for each image in Docker's short form, and the pin of the frontend.
func (j *Job) dockerContexts() (contexts map[string]string, syntax string, err error) {
	if contexts, err = j.named(); err != nil {
		return nil, "", err
	}
	stages, err := j.froms()
	if err != nil {
		return nil, "", err
	}
	for _, reference := range j.images() {
		if j.frontend(reference) {
			syntax = j.Pins[reference]
			continue
		}
		key := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(reference, "docker.io/"), "library/"), ":latest")
		if isStage(stages, key) {
			j.unpin(reference)
			continue
		}
		if _, taken := contexts[key]; !taken {
			contexts[key] = imageScheme + j.Pins[reference]
		}
	}
	return contexts, syntax, nil
}

// unpin takes back that the builder was given an image by digest: only its provenance can prove it then.
func (j *Job) unpin(reference string) {
	for k := range j.stamp.Parents {
		if j.stamp.Parents[k].Name == reference {
			j.stamp.Parents[k].Pin = ""
		}
	}
}
