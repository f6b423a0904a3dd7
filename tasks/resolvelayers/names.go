package resolvelayers

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// registryOf is the registry of an item.
func (i *item) registryOf(r *Request) string { return cmp.Or(i.Registry, r.BaseRegistry) }

// ownName is the repository that an item's Repository names.
func (i *item) ownName(r *Request) (registry.Name, error) {
	name := registry.NewName(i.registryOf(r), i.Repository)
	if name.Registry == "" {
		return name, i.problem("names no Registry", "set Registry to host or host:port")
	}
	if err := registry.ParseRegistry(name.Registry); err != nil {
		return name, i.problem(fmt.Sprintf("has the Registry %q, which is not a host name", name.Registry),
			"write host or host:port, without a scheme and without a path")
	}
	if err := registry.ParseRepository(name.Repository); err != nil {
		return name, i.problem(fmt.Sprintf("has the Repository %q, which is not a valid name", i.Repository),
			"write it as in the image's reference, without registry and tag")
	}
	return name, nil
}

// blobName is the repository of a layer that is named by its digest.
func (i *item) blobName(r *Request) (registry.Name, error) {
	if i.Repository != "" {
		return i.ownName(r)
	}
	if isName(i.Reference) {
		ref, err := i.full(i.Reference, r)
		return ref.Name, err
	}
	return registry.Name{}, i.problem("does not say which repository has it",
		"set Repository, and Registry unless it is that of the base image")
}

// isName says whether a reference names a repository, and not a tag or digest alone.
func isName(ref string) bool {
	return strings.ContainsAny(ref, "/@") || strings.Contains(ref, ":") && !looksLikeDigest(ref)
}

// reference is the image that Reference names: a tag or a digest in the item's repository, or an image by its full name. The reference of an
// Image without Reference is its Include.
func (i *item) reference(r *Request) (registry.Reference, error) {
	text := cmp.Or(i.Reference, i.Include)
	switch {
	case i.Reference == "" && i.Repository == "": // the name of an image, perhaps without a tag
		return i.full(text, r)
	case i.Reference == "" && !looksLikeDigest(text):
		return registry.Reference{}, i.problem("has a Repository and no Reference",
			"set Reference to a tag or a digest, or write registry/repository:tag in Include alone")
	case isName(text):
		return i.full(text, r)
	case i.Repository == "":
		return registry.Reference{}, i.problem(fmt.Sprintf("has the Reference %q and no Repository", text),
			"set Repository, or write registry/repository:tag")
	}
	name, err := i.ownName(r)
	ref := registry.Reference{Name: name}
	if err != nil {
		return ref, err
	}
	if d, err := cas.ParseDigest(text); err == nil {
		ref.Digest = d
		return ref, nil
	}
	if registry.ParseTag(text) != nil {
		return ref, i.problem(fmt.Sprintf("has the Reference %q, which is neither a tag nor a digest", text),
			"write a tag, sha256:…, or registry/repository:tag")
	}
	ref.Tag = text
	return ref, nil
}

// full reads the name of an image. One that names no registry is in the item's.
func (i *item) full(text string, r *Request) (registry.Reference, error) {
	ref, err := registry.ParseReference(text)
	if err == nil && !strings.HasPrefix(text, ref.Registry+"/") && !strings.Contains(strings.SplitN(text, "/", 2)[0], "docker.io") {
		if own := i.registryOf(r); own != "" {
			ref, err = registry.ParseReference(own + "/" + text)
		}
	}
	if err != nil {
		return ref, i.problem(fmt.Sprintf("has the reference %q, which is not valid", text),
			"write registry/repository:tag or registry/repository@sha256:…")
	}
	return ref, nil
}

func (i *item) parseImage(r *Request) (err error) {
	switch {
	case i.From != "" && i.Base != "":
		return i.problem("has From and Base", "set one of them: From is the number of the first layer, Base the image whose layers are left out")
	case i.From != "":
		if i.from, err = strconv.Atoi(i.From); err != nil || i.from < 0 {
			return i.problem(fmt.Sprintf("has the From %q", i.From), "write the number of the first layer that is taken, counted from 0")
		}
	case i.Base != "":
		if _, err := i.full(i.Base, r); err != nil {
			return err
		}
	}
	_, err = i.reference(r)
	return err
}

func sourceOf(n registry.Name) *tasks.LayerSource {
	return &tasks.LayerSource{Registry: n.Registry, Repository: n.Repository}
}
