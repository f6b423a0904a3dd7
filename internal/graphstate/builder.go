package graphstate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
)

// Builder is what a builder says of the build that made an image. Without a provenance in Metadata, the parents are those of Parent.Pin.
type Builder struct {
	// Metadata is the content of the file of docker buildx build --metadata-file, or of docker buildx bake; nil is none. Target is the
	// target of the bake file.
	Metadata []byte
	Target   string
	// ImageID is the content of the file of --iidfile: the digest of the configuration or, from some builders, of the manifest.
	ImageID []byte
}

// Limits of what a builder writes.
const (
	maxMetadata  = 64 << 20 // bytes; a provenance of mode max has the Dockerfile and its whole graph
	maxMaterials = 10_000
)

// claims are what a Builder says, read.
type claims struct {
	// id is the image's, and digests those of the metadata file by their keys; each may be of a manifest, an index or a configuration.
	id      cas.Digest
	digests map[string]cas.Digest
	// file says that there is a metadata file, and known that used are all images that the builder read, in no order.
	file  bool
	known bool
	used  []used
}

// used is an image that a builder read. Digest is that of what the reference named: an index, where it is one.
type used struct {
	registry.Reference
	platform *dockerfile.Platform // nil where it is not said
}

func (b *Builder) read() (*claims, error) {
	c := &claims{digests: map[string]cas.Digest{}, file: b.Metadata != nil}
	if b.ImageID != nil {
		var err error
		if c.id, err = parseImageID(b.ImageID); err != nil {
			return nil, diag.Wrap(diag.InvalidBuilderFile, err, "the file of --iidfile", "give the file as the builder wrote it")
		}
	}
	if c.file {
		if err := c.readMetadata(b.Metadata, b.Target); err != nil {
			return nil, diag.Wrap(diag.InvalidBuilderFile, err, "the builder's metadata file", "give the file that docker buildx wrote with --metadata-file")
		}
	}
	return c, nil
}

// parseImageID reads sha256:… or the 64 digits alone, with a line's end or none.
func parseImageID(data []byte) (cas.Digest, error) {
	s := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if len(s) == 64 {
		s = "sha256:" + s
	}
	if len(s) > 100 {
		s = s[:100]
	}
	return cas.ParseDigest(s)
}

const provenanceKey = "buildx.build.provenance"

// readMetadata reads the file of buildx: an object whose keys are those of BuildKit's exporters, and of a bake one such object a target. A
// build for several platforms has a provenance for each, with the platform behind the key.
func (c *claims) readMetadata(data []byte, target string) error {
	if len(data) > maxMetadata {
		return fmt.Errorf("it has %d bytes, and at most %d are read", len(data), maxMetadata)
	}
	if err := checkKeys(data, nil); err != nil {
		return err
	}
	var top object
	if err := json.Unmarshal(data, &top); err != nil {
		return errors.New("it is not an object")
	}
	if _, isBuild := top["buildx.build.ref"]; !isBuild && target != "" {
		var inner object
		ok, err := top.field(target, &inner)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("it has no target %q", target)
		}
		top = inner
	}
	for _, key := range []string{"containerimage.digest", "containerimage.config.digest"} {
		var d cas.Digest
		ok, err := top.field(key, &d)
		if err != nil {
			return err
		}
		if ok {
			c.digests[key] = d
		}
	}
	if len(c.digests) == 0 {
		return errors.New("it does not name an image: it has no containerimage.digest")
	}
	for _, key := range slices.Sorted(maps.Keys(top)) {
		if key != provenanceKey && !strings.HasPrefix(key, provenanceKey+"/") {
			continue
		}
		var p object
		if _, err := top.field(key, &p); err != nil {
			return err
		}
		if err := c.readProvenance(p); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		c.known = true
	}
	return nil
}

// material is an entry of SLSA's provenance: ResourceDescriptor of v1, or ProvenanceMaterial of v0.2.
type material struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// readProvenance reads a predicate of SLSA v1 or v0.2, as BuildKit writes them (docs/attestations/slsa-definitions.md).
func (c *claims) readProvenance(p object) error {
	list, key := p, "materials"
	var definition object
	v1, err := p.field("buildDefinition", &definition)
	if err != nil {
		return err
	}
	if v1 {
		list, key = definition, "resolvedDependencies"
	}
	var kind string
	if ok, err := list.field("buildType", &kind); err != nil || !ok {
		return cmpErr(err, "it has no buildType")
	}
	var entries []material
	if _, err := list.field(key, &entries); err != nil { // a build that reads nothing has none
		return err
	}
	if len(entries) > maxMaterials {
		return fmt.Errorf("it has %d materials, and at most %d are read", len(entries), maxMaterials)
	}
	for i, m := range entries {
		u, err := m.image()
		if err != nil {
			return fmt.Errorf("%s[%d]: %w", key, i, err)
		}
		if u != nil {
			c.used = append(c.used, *u)
		}
	}
	return nil
}

func cmpErr(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}

// image reads a material that is an image of a registry; it returns nil for a git repository, a file, an OCI layout or a single blob, which
// a source hash has with their own checksums.
func (m *material) image() (*used, error) {
	rest, ok := strings.CutPrefix(m.URI, "pkg:docker/")
	if !ok {
		return nil, nil
	}
	bad := func(err error) (*used, error) { return nil, fmt.Errorf("%.300q: %w", m.URI, err) }
	path, query, _ := strings.Cut(rest, "?")
	qualifiers, err := url.ParseQuery(query)
	if err != nil {
		return bad(errors.New("its qualifiers cannot be read"))
	}
	if qualifiers.Has("ref_type") {
		return nil, nil
	}
	name, err := purlName(path)
	if err != nil {
		return bad(err)
	}
	digest, err := cas.ParseDigest("sha256:" + m.Digest["sha256"])
	if err != nil {
		return bad(errors.New("it has no sha256 digest"))
	}
	u := &used{}
	if u.Reference, err = registry.ParseReference(name); err != nil {
		return bad(err)
	}
	said := cas.Digest(qualifiers.Get("digest"))
	if u.Digest != "" {
		said = u.Digest
	}
	if said != "" && said != digest {
		return bad(fmt.Errorf("it names %s and has the digest %s", said, digest))
	}
	if u.Tag == "latest" && !strings.HasSuffix(name, ":latest") {
		u.Tag = "" // named by digest alone
	}
	u.Digest = digest
	if p := qualifiers.Get("platform"); p != "" {
		platform, err := dockerfile.ParsePlatform(p, dockerfile.Platform{})
		if err != nil {
			return bad(err)
		}
		u.platform = &platform
	}
	return u, nil
}

// purlName is the reference in a package URL: namespace/name@version, each part escaped (package-url/purl-spec).
func purlName(path string) (string, error) {
	path, version, _ := strings.Cut(path, "@")
	name, err := url.PathUnescape(path)
	if err != nil {
		return "", errors.New("its name cannot be read")
	}
	if version, err = url.PathUnescape(version); err != nil {
		return "", errors.New("its version cannot be read")
	}
	switch {
	case version == "":
		return name, nil
	case strings.HasPrefix(version, "sha256:"):
		return name + "@" + version, nil
	}
	return name + ":" + version, nil
}
