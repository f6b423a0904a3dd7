package graphrun

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
)

const imageScheme = "docker-image://"

// from is a FROM of a Dockerfile as it is written.
type from struct {
	line  int
	base  string
	stage string // in lower case, as names of stages are compared
}

// froms reads the FROM instructions. What reaches them was parsed before, so that a file of another form has none.
func (j *Job) froms() ([]from, error) {
	if j.Spec.Remote() {
		return nil, nil
	}
	data, err := os.ReadFile(j.Dockerfile)
	if os.IsNotExist(err) && filepath.Base(j.Dockerfile) == "Dockerfile" { // BuildKit looks for this one too
		data, err = os.ReadFile(filepath.Join(filepath.Dir(j.Dockerfile), "dockerfile"))
	}
	if err != nil {
		return nil, diag.Wrap(diag.InvalidDockerfile, err, "the Dockerfile of "+j.Spec.Name, "check the path and its rights")
	}
	parsed, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, nil
	}
	var list []from
	for _, n := range parsed.AST.Children {
		if !strings.EqualFold(n.Value, "FROM") || n.Next == nil {
			continue
		}
		f := from{line: n.StartLine, base: n.Next.Value}
		if as := n.Next.Next; as != nil && as.Next != nil {
			f.stage = strings.ToLower(as.Next.Value)
		}
		list = append(list, f)
	}
	return list, nil
}

// named are the named contexts of the list, with images that have a pin by digest.
func (j *Job) named() (map[string]string, error) {
	contexts := maps.Clone(j.Spec.Contexts)
	if contexts == nil {
		contexts = map[string]string{}
	}
	for name, value := range contexts {
		ref := value
		if image, ok := strings.CutPrefix(value, imageScheme); ok {
			parsed, err := registry.ParseReference(image)
			if err != nil {
				return nil, err
			}
			ref = parsed.String()
		}
		pin := j.Pins[ref]
		if pin != "" {
			contexts[name] = imageScheme + pin
		} else if strings.HasPrefix(value, "target:") {
			delete(contexts, name) // the target stage does not reach it
		}
	}
	return contexts, nil
}

// images are the references of the Dockerfile that have a pin, without named contexts and those that are by digest already.
func (j *Job) images() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(j.Pins)), func(ref string) bool {
		return strings.HasPrefix(ref, "target:") || strings.Contains(ref, "@")
	})
}

// uses are the ways in which an image is reached.
func (j *Job) uses(reference string) []dockerfile.Use {
	var list []dockerfile.Use
	for _, v := range j.image.Variants {
		for _, p := range v.Parents {
			if p.Reference == reference {
				list = append(list, p.Uses...)
			}
		}
	}
	return list
}

// frontend says whether an image is reached as the frontend alone.
func (j *Job) frontend(reference string) bool {
	uses := j.uses(reference)
	return len(uses) > 0 && !slices.ContainsFunc(uses, func(u dockerfile.Use) bool { return u.Kind != dockerfile.Syntax })
}

// spellings are all ways to write a reference, the shortest first: Docker Hub and its folder "library" may be left out, and the tag latest.
func spellings(reference string) []string {
	list := []string{reference}
	if rest, ok := strings.CutPrefix(reference, "docker.io/"); ok {
		list = append(list, rest)
		if short, ok := strings.CutPrefix(rest, "library/"); ok {
			list = append(list, short, "docker.io/"+short)
		}
	}
	for _, s := range list {
		if short, ok := strings.CutSuffix(s, ":latest"); ok {
			list = append(list, short)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return len(a) - len(b) })
	return list
}

// isStage says whether a name is that of a stage.
func isStage(stages []from, name string) bool {
	return slices.ContainsFunc(stages, func(f from) bool { return f.stage != "" && f.stage == strings.ToLower(name) })
}

// stageTaken is the error for an image that cannot be told apart from a stage.
func (j *Job) stageTaken(reference, name string) error {
	return diag.New(diag.BuilderUnusable, fmt.Sprintf("image %s: %s cannot be given to buildah by digest, as %s is also the name of a stage of %s",
		j.Spec.Name, reference, name, j.Dockerfile), "give the stage another name")
}
