package pull

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Policy says when a base image's registry is asked. What is named by digest and is in the content store is never asked for.
type Policy string

// Policies.
const (
	Always  Policy = "always"  // for a tag each time
	Missing Policy = "missing" // for a tag only when the store does not remember what it named
	Never   Policy = "never"   // for nothing
)

// ParsePolicy reads GantryPullPolicy, in any case of letters as MSBuild compares; empty means Always. Anything else is GANTRY1005.
func ParsePolicy(s string) (Policy, error) {
	switch p := Policy(strings.ToLower(s)); p {
	case "":
		return Always, nil
	case Always, Missing, Never:
		return p, nil
	}
	return "", diag.New(diag.InvalidValue, fmt.Sprintf("pullPolicy %q is not known", s), "use always, missing or never")
}

// Offline stands for a repository that must not be asked: what is wanted of it is GANTRY2006, which names it.
type Offline struct{ Name registry.Name }

// Manifest is always GANTRY2006.
func (o Offline) Manifest(_ context.Context, tagOrDigest string) (*registry.Manifest, error) {
	return nil, o.lacks("manifest", tagOrDigest)
}

// HeadManifest is always GANTRY2006.
func (o Offline) HeadManifest(_ context.Context, tagOrDigest string) (registry.Descriptor, error) {
	return registry.Descriptor{}, o.lacks("manifest", tagOrDigest)
}

// Blob is always GANTRY2006.
func (o Offline) Blob(_ context.Context, digest cas.Digest, _ int64) (io.ReadCloser, error) {
	return nil, o.lacks("configuration or layer", string(digest))
}

// BlobSize is always GANTRY2006.
func (o Offline) BlobSize(_ context.Context, digest cas.Digest) (int64, error) {
	return 0, o.lacks("configuration or layer", string(digest))
}

// lacks names what the store would have to have.
func (o Offline) lacks(kind, tagOrDigest string) error {
	name := registry.Reference{Name: o.Name, Tag: tagOrDigest}
	if d, err := cas.ParseDigest(tagOrDigest); err == nil {
		name.Tag, name.Digest = "", d
	}
	return diag.New(diag.NotInStore, fmt.Sprintf("the content store does not have the %s %s, and GantryPullPolicy=never allows no request",
		kind, name), "build once with GantryPullPolicy=always, or restore the content store")
}
