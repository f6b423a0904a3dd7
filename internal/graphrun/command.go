package graphrun

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// Command builds with a command line of the user's, which the shell runs for each image in the folder of the run. It has to build the image
// from the parents in GANTRY_PINS, to push it under all tags, and to write the digest of what it pushed to $GANTRY_DIGEST_FILE. Its environment
// has beside that of Gantry
//
//	GANTRY_IMAGE           the image's name in the list
//	GANTRY_CONTEXT         the folder or URL of the build context
//	GANTRY_DOCKERFILE      the Dockerfile
//	GANTRY_TARGET          the stage; empty is the last
//	GANTRY_PLATFORMS       os/architecture, by commas
//	GANTRY_TAGS            the references to push to, by spaces
//	GANTRY_ARGS            build arguments as a JSON object
//	GANTRY_CONTEXTS        the named contexts of the list as a JSON object, images by digest
//	GANTRY_OPTIONS         what else the list says, as a JSON object
//	GANTRY_PINS            the parents as a JSON object: the reference as the Dockerfile has it to repository@sha256:…
//	GANTRY_HASH            the source hash; empty where it is not known
//	GANTRY_DIGEST_FILE     the file for the digest: sha256:…
//	GANTRY_METADATA_FILE   a file that docker buildx build --metadata-file may be told to write, which the stamp is held to then
//	GANTRY_IMAGE_ID_FILE   a file that --iidfile may be told to write
type Command struct {
	*Programs
	// Line is for sh, or for cmd on Windows.
	Line string
}

// Build implements Builder.
func (c Command) Build(ctx context.Context, j *Job) (*Made, error) {
	contexts, err := j.named()
	if err != nil {
		return nil, err
	}
	args := map[string]string{}
	for name, value := range j.Spec.Args {
		if value != nil {
			args[name] = *value
		}
	}
	env := []string{
		"GANTRY_IMAGE=" + j.Spec.Name, "GANTRY_CONTEXT=" + j.context(), "GANTRY_DOCKERFILE=" + j.Dockerfile, "GANTRY_TARGET=" + j.Spec.Target,
		"GANTRY_PLATFORMS=" + strings.Join(j.Platforms, ","), "GANTRY_TAGS=" + strings.Join(j.Spec.Tags, " "),
		"GANTRY_DIGEST_FILE=" + j.Dir + "/digest", "GANTRY_METADATA_FILE=" + j.Dir + "/metadata.json", "GANTRY_IMAGE_ID_FILE=" + j.Dir + "/id",
		"GANTRY_HASH=" + string(j.stamp.Hash),
	}
	for name, table := range map[string]map[string]string{
		"GANTRY_ARGS": args, "GANTRY_CONTEXTS": contexts, "GANTRY_OPTIONS": j.Spec.Options, "GANTRY_PINS": j.Pins,
	} {
		if table == nil {
			table = map[string]string{}
		}
		text, err := json.Marshal(table)
		if err != nil {
			return nil, diag.Wrap(diag.Internal, err, name, "please report it")
		}
		env = append(env, name+"="+string(text))
	}
	shell := []string{"sh", "-c", c.Line, "gantry"} // so that more arguments are "$@"
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/C", c.Line}
	}
	if _, err := c.start(ctx, j, env, shell[0], append(shell[1:], c.Extra...)...); err != nil {
		return nil, err
	}
	made := &Made{}
	if made.Builder.Metadata, err = optional(j.Dir + "/metadata.json"); err != nil {
		return nil, err
	}
	if made.Builder.ImageID, err = optional(j.Dir + "/id"); err != nil {
		return nil, err
	}
	made.Digest, err = j.digest("digest")
	return made, err
}

// optional reads a file that need not be there.
func optional(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, diag.Wrap(diag.InvalidBuilderFile, err, "what the builder wrote", "check its rights")
	}
	return data, nil
}
