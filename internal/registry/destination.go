package registry

import (
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// ParseDestination reads registry/repository, where an image is pushed to. The first part must be a registry's name by Docker's rule (it
// has a dot or a colon, or is localhost), and there is no tag: Docker Hub is docker.io/NAME. Errors are GANTRY1005, CONTAINER2012 for
// the registry and 2005 for the repository.
func ParseDestination(text string) (Name, error) {
	if scheme, _, has := strings.Cut(text, "://"); has {
		return Name{}, diag.New(diag.InvalidRegistry, fmt.Sprintf("the destination %q has the scheme %q", withoutPassword(text), scheme+":"),
			"write registry/repository; plain HTTP needs DOTNET_CONTAINER_INSECURE_REGISTRIES")
	}
	host, repository, found := strings.Cut(text, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return Name{}, diag.New(diag.InvalidValue, fmt.Sprintf("the destination %q names no registry", withoutPassword(text)),
			"write registry/repository, for example registry.example.com/team/shop")
	}
	if strings.ContainsAny(repository, ":@") {
		return Name{}, diag.New(diag.InvalidValue, fmt.Sprintf("the destination %q has a tag or digest", withoutPassword(text)),
			"write registry/repository; the tags are those of the image, the same everywhere")
	}
	if err := ParseRegistry(host); err != nil {
		return Name{}, err
	}
	if err := ParseRepository(repository); err != nil {
		return Name{}, err
	}
	return NewName(host, repository), nil
}

// Same says whether both are one repository of one registry.
func (n Name) Same(o Name) bool {
	return n.SameRegistry(o) && NewName(n.Registry, n.Repository).Repository == NewName(o.Registry, o.Repository).Repository
}
