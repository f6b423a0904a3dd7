package imagelist

import (
	"iter"
	"path/filepath"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
)

// Spec is one image of a list: what a builder is told.
type Spec struct {
	// Name is unique in the list: that of the file's entry, with the combination of a matrix behind it.
	Name string
	// Origin is the file and the line, or the key, that names the image; for people.
	Origin string
	// Context is the folder of the build context, absolute; or what Remote is true for.
	Context string
	// Dockerfile is the file, absolute, or a path inside a remote context. It is empty when Inline is set.
	Dockerfile string
	// Inline is the content of a Dockerfile that stands in the list itself.
	Inline string
	// Template is the file that the Dockerfile was made from, absolute, where the list says so. No builder reads it.
	Template string
	// Target is a stage of the Dockerfile; empty means the last.
	Target string
	// Args are build arguments. A nil value is one that the list names and does not give: the builder is not told of it.
	Args map[string]*string
	// Platforms are those that are built, "linux/amd64"; empty means that of the machine which builds.
	Platforms []string
	// Tags are full references, registry/repository:tag. The first one's repository has the image's source tag; without any the image cannot
	// be remembered and is always built.
	Tags []string
	// SharedTags are references of an index in which this image is one of several.
	SharedTags []string
	// Contexts are the named contexts as buildx takes them, folders absolute; "target:x" names another Spec.
	Contexts map[string]string
	// Options are what else the builder is told and may change the image, such as labels and the network, by the key of the list, each as
	// compact JSON. What says only where the result or a cache goes is not there, and of secrets only their names are.
	Options map[string]string
	// Info is what image-info.json calls the image; nil unless the list is a manifest.json of dotnet/docker-tools.
	Info *InfoKey
}

// Folders are the named contexts that are folders of this machine.
func (s *Spec) Folders() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, value := range s.Contexts {
			if isFolder(value) && !yield(value) {
				return
			}
		}
	}
}

// Remote says that the build context is a git repository or an archive at a URL, of which nothing is known before it is fetched.
func (s *Spec) Remote() bool { return isURL(s.Context) }

// isURL says that a context is no folder of this machine, as buildx decides it (util/urlutil: http, https, and what BuildKit takes for git).
func isURL(context string) bool {
	if strings.HasPrefix(context, "http://") || strings.HasPrefix(context, "https://") {
		return true
	}
	if !strings.Contains(context, ":") && !strings.HasPrefix(context, "github.com/") {
		return false // no form of a git reference: the parser would say so, slowly
	}
	_, isGit, err := dfgitutil.ParseGitRef(context)
	return err == nil && isGit
}

// place is where the relative paths of a list begin.
type place string

// abs makes a path of a list absolute. Both slashes and the system's separator are taken.
func (p place) abs(path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(string(p), path)
}

// context is a main build context, as bake writes it.
func (p place) context(value string) string {
	value = strings.TrimPrefix(value, "cwd://")
	if isURL(value) {
		return value
	}
	return p.abs(value)
}

// inContext is a Dockerfile as bake and Compose resolve it: from its context.
func inContext(context, value string) string {
	if value == "" {
		value = "Dockerfile"
	}
	if isURL(context) {
		return value
	}
	return place(context).abs(value)
}

// named is the value of a named context. What has a scheme is not for us to change.
func (p place) named(value string) string {
	if rest, ok := strings.CutPrefix(value, "cwd://"); ok {
		return p.abs(rest)
	}
	if !isFolder(value) {
		return value
	}
	return p.abs(value)
}

// isFolder says that a named context is a folder of this machine.
func isFolder(value string) bool {
	for _, prefix := range []string{"target:", "docker-image:", "oci-layout:"} {
		if strings.HasPrefix(value, prefix) {
			return false
		}
	}
	return !isURL(value) && !strings.Contains(value, "://")
}
