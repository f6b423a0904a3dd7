package recall

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Request says where an earlier image may be.
type Request struct {
	tasks.RequestHeader
	// Registry and Repository are the destination.
	Registry   string `json:"registry"`
	Repository string `json:"repository"`
	// Tags are those that will be written, in this order, with their suffix if they have one.
	Tags []string `json:"tags"`
	// CacheFrom are other images to look at, as registry/repository:tag or registry/repository@digest: those of other branches, for
	// example. What they say of themselves is trusted as what the destination says.
	CacheFrom []string `json:"cacheFrom,omitempty"`
	// CacheTag is the tag of the destination that every push moves; empty means none.
	CacheTag string `json:"cacheTag,omitempty"`
	// RuntimeIdentifier selects the image of an index, RidGraphPath is the SDK's RuntimeIdentifierGraphPath; as in select-base.
	RuntimeIdentifier string `json:"runtimeIdentifier"`
	RidGraphPath      string `json:"ridGraphPath,omitempty"`
	// OutputRegistry is as in resolve-base; empty means Registry.
	OutputRegistry string `json:"outputRegistry,omitempty"`
}

// Validate returns all problems of the request: GANTRY1005, CONTAINER2005, 2007, 2009 and 2012.
func (r *Request) Validate() error {
	errs := []error{registry.ParseRegistry(r.Registry), registry.ParseRepository(r.Repository)}
	for _, t := range r.Tags {
		errs = append(errs, registry.ParseTag(t))
	}
	if r.CacheTag != "" {
		errs = append(errs, registry.ParseTag(r.CacheTag))
	}
	if r.RuntimeIdentifier == "" {
		errs = append(errs, diag.New(diag.InvalidValue, "runtimeIdentifier is missing", "name one, such as linux-x64"))
	}
	for _, s := range r.CacheFrom {
		_, err := parseReference(s)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// parseReference reads a full reference: one without a registry could as well be meant for the destination as for Docker Hub.
func parseReference(s string) (ref registry.Reference, err error) {
	if ref, err = registry.ParseReference(s); err != nil {
		return ref, err
	}
	if host, _, found := strings.Cut(s, "/"); !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return ref, diag.New(diag.InvalidBaseReference, fmt.Sprintf("the reference %q in cacheFrom names no registry", s),
			"write registry/repository:tag or registry/repository@sha256:…; Docker Hub is docker.io")
	}
	return ref, nil
}
