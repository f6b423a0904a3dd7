// Package place copies images between places: repositories of registries, OCI image layouts, archives, Docker and Podman.
//
// A place is written as a person of the field writes it (skopeo's transports): docker://REGISTRY/REPOSITORY:TAG, which is what is meant
// without a scheme, oci:FOLDER[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], docker-daemon:NAME, and podman:NAME, also
// written containers-storage:NAME. What the destination has is not sent, whatever the source; digests stay as they are wherever the
// destination can hold the manifest.
package place

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/content"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/engine"
	"github.com/gantry-build/gantry/internal/registry"
)

// Scheme is the kind of a place.
type Scheme string

// Schemes.
const (
	Registry      Scheme = "docker"
	Layout        Scheme = "oci"
	OCIArchive    Scheme = "oci-archive"
	DockerArchive Scheme = "docker-archive"
	Docker        Scheme = "docker-daemon"
	Podman        Scheme = "podman"
)

// Place is where an image lies or goes.
type Place struct {
	Scheme Scheme
	// Reference is the image in a registry, Docker or Podman.
	Reference registry.Reference
	// named says that a registry was written before the repository.
	named bool
	// Path and Name are those of a layout or archive.
	Path, Name string
}

// Parse reads a place. Fails with GANTRY1009, and with CONTAINER2009 for an image reference that is not valid.
func Parse(s string) (Place, error) {
	scheme, rest, found := strings.Cut(s, ":")
	switch Scheme(scheme) {
	case Registry:
		if found && strings.HasPrefix(rest, "//") {
			return parseImage(Registry, strings.TrimPrefix(rest, "//"))
		}
	case Layout, OCIArchive, DockerArchive:
		if found {
			return parseFile(Scheme(scheme), rest)
		}
	case Docker, Podman:
		if found {
			return parseImage(Scheme(scheme), rest)
		}
	case "containers-storage":
		if found {
			return parseImage(Podman, rest)
		}
	}
	if before, _, found := strings.Cut(s, "://"); found {
		return Place{}, diag.New(diag.BadUsage, fmt.Sprintf("the scheme %q is not known", before),
			"use docker://, oci:, oci-archive:, docker-archive:, docker-daemon: or podman:")
	}
	return parseImage(Registry, s)
}

func parseImage(scheme Scheme, s string) (Place, error) {
	ref, err := registry.ParseReference(s)
	if err != nil {
		return Place{}, err
	}
	first, _, _ := strings.Cut(s, "/")
	named := first != s && registry.NewName(first, "x").Registry == ref.Registry
	return Place{Scheme: scheme, Reference: ref, named: named}, nil
}

// parseFile cuts the name off a path: what stands behind the first colon, but for that of a Windows drive.
func parseFile(scheme Scheme, s string) (Place, error) {
	from := 0
	if len(s) > 2 && s[1] == ':' && (s[2] == '\\' || s[2] == '/') {
		from = 2
	}
	p := Place{Scheme: scheme, Path: s}
	if i := strings.IndexByte(s[from:], ':'); i >= 0 {
		p.Path, p.Name = s[:from+i], s[from+i+1:]
	}
	if p.Path == "" {
		return p, diag.New(diag.BadUsage, fmt.Sprintf("%s: names no file", scheme), fmt.Sprintf("write %s:PATH[:NAME]", scheme))
	}
	p.Path = filepath.FromSlash(p.Path)
	return p, nil
}

// String writes the place as it is parsed.
func (p Place) String() string {
	switch p.Scheme {
	case Registry:
		return "docker://" + p.Reference.String()
	case Docker, Podman:
		return string(p.Scheme) + ":" + p.imageName()
	}
	if p.Name != "" {
		return string(p.Scheme) + ":" + p.Path + ":" + p.Name
	}
	return string(p.Scheme) + ":" + p.Path
}

// imageName is what an engine knows an image by: without a registry when none was written.
func (p Place) imageName() string {
	s := p.Reference.String()
	if !p.named {
		s = strings.TrimPrefix(strings.TrimPrefix(s, "docker.io/"), "library/")
	}
	return s
}

// engineName is the name of an image that goes to an engine.
func (p Place) engineName(e *engine.Engine) content.Name {
	host, repository := "", strings.TrimPrefix(p.Reference.Repository, "library/")
	if p.named {
		host, repository = p.Reference.Registry, p.Reference.Repository
	}
	return e.NameOf(host, repository, p.Reference.Tag)
}

// fileNames are the names of an image in a layout or archive: as written, and in Docker's form where it has one.
func (p Place) fileNames() []content.Name {
	if p.Name == "" {
		return nil
	}
	n := content.Name{Ref: p.Name}
	if ref, err := registry.ParseReference(p.Name); err == nil && ref.Digest == "" && strings.Contains(p.Name, ":") {
		n.Image, n.RepoTag = ref.String(), p.Name
	}
	return []content.Name{n}
}

func (p Place) engineKind() engine.Kind {
	if p.Scheme == Docker {
		return engine.Docker
	}
	return engine.Podman
}

// withTag is a name with another tag; a name that is a tag alone is replaced.
func withTag(name, tag string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i+1] + tag
	}
	return tag
}
