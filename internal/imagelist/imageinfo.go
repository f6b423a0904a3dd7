package imagelist

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// InfoKey is what image-info.json calls one image of a docker-tools manifest.
type InfoKey struct {
	Repo           string // without registry
	ProductVersion string
	SharedTags     []string
	Dockerfile     string // from the manifest's folder, with slashes
	OSType         string // Linux, Windows
	OSVersion      string
	Architecture   string // amd64, arm64, arm32
	SimpleTags     []string
}

// set fills what the platform of a manifest says, in the words of image-info.json.
func (k *InfoKey) set(os, version, architecture string, tags []string) {
	k.OSType = os
	if os != "" {
		k.OSType = strings.ToUpper(os[:1]) + strings.ToLower(os[1:])
	}
	k.OSVersion, k.Architecture, k.SimpleTags = version, architecture, tags
	if architecture == "arm" {
		k.Architecture = "arm32"
	}
}

// ImageInfo is an image-info.json of dotnet/docker-tools (src/ImageBuilder/Models/Image): what was built, and from which images. Members
// that this type does not know are kept where they were and written again.
type ImageInfo struct {
	SchemaVersion string     `json:"schemaVersion"`
	Repos         []InfoRepo `json:"repos,omitempty"`

	more object
}

// InfoRepo is a repository, named without its registry.
type InfoRepo struct {
	Repo   string      `json:"repo"`
	Images []InfoImage `json:"images,omitempty"`

	more object
}

// InfoImage are the platforms that share tags.
type InfoImage struct {
	ProductVersion string         `json:"productVersion,omitempty"`
	Manifest       *InfoManifest  `json:"manifest,omitempty"`
	Platforms      []InfoPlatform `json:"platforms,omitempty"`

	more object
}

// InfoManifest is the index behind the shared tags.
type InfoManifest struct {
	Digest            string   `json:"digest,omitempty"` // repository@sha256:…
	SyndicatedDigests []string `json:"syndicatedDigests,omitempty"`
	Created           string   `json:"created,omitempty"` // RFC 3339
	SharedTags        []string `json:"sharedTags,omitempty"`

	more object
}

// InfoPlatform is one image. Digests are registry/repository@sha256:…
type InfoPlatform struct {
	Dockerfile      string   `json:"dockerfile"`
	SimpleTags      []string `json:"simpleTags,omitempty"`
	Digest          string   `json:"digest"`
	BaseImageDigest string   `json:"baseImageDigest,omitempty"` // of the final stage's FROM; none for scratch
	// FromImages are the digests of all images that the Dockerfile reads, by the reference that it names.
	FromImages   map[string]string `json:"fromImages,omitempty"`
	OSType       string            `json:"osType"`
	OSVersion    string            `json:"osVersion"`
	Architecture string            `json:"architecture"`
	Created      string            `json:"created,omitempty"` // RFC 3339
	CommitURL    string            `json:"commitUrl"`
	Layers       []InfoLayer       `json:"layers,omitempty"`

	more object
}

// InfoLayer is a layer. Files before schema version 2.0 have its digest alone.
type InfoLayer struct {
	Digest string `json:"digest"`
	Size   int64  `json:"size"` // in bytes; 0 when it is not known
}

// infoSchema is the version that is written.
const infoSchema = "2.0"

// UnmarshalJSON reads a layer in both forms.
func (l *InfoLayer) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &l.Digest) == nil {
		return nil
	}
	type plain InfoLayer
	return json.Unmarshal(data, (*plain)(l))
}

// ParseImageInfo reads an image-info.json; name is what errors call it.
func ParseImageInfo(name string, data []byte) (*ImageInfo, error) {
	p := &problems{file: filepath.Base(name)}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := wholeJSON(data); err != nil {
		return nil, p.one(jsonPlace(data, err), "it is not JSON: "+jsonText(err), "")
	}
	info := &ImageInfo{}
	p.into("", data, info, "an image-info.json of docker-tools")
	major, _, _ := strings.Cut(info.SchemaVersion, ".")
	if !slices.Contains([]string{"", "1", "2"}, major) {
		p.invalid("schemaVersion", "%q is a version that Gantry does not know", info.SchemaVersion)
	}
	for i, repo := range info.Repos {
		if repo.Repo == "" {
			p.invalid(fmt.Sprintf("repos[%d].repo", i), "it is not there")
		}
		for j, image := range repo.Images {
			for k, platform := range image.Platforms {
				if platform.Dockerfile == "" {
					p.invalid(fmt.Sprintf("repos[%d].images[%d].platforms[%d].dockerfile", i, j, k), "it is not there")
				}
			}
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return info, nil
}

// Encode writes the file as ImageBuilder does: two spaces, empty lists left out.
func (i *ImageInfo) Encode() ([]byte, error) {
	written := *i
	written.SchemaVersion = infoSchema
	raw, err := encodeJSON(&written)
	if err != nil {
		return nil, diag.Wrap(diag.Internal, err, "an image-info.json cannot be written", "")
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, diag.Wrap(diag.Internal, err, "an image-info.json cannot be written", "")
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// Platform is the entry of an image, or nil. Product versions are equal when their first two numbers are, as ImageBuilder has it.
func (i *ImageInfo) Platform(key *InfoKey) *InfoPlatform {
	for r := range i.Repos {
		if i.Repos[r].Repo != key.Repo {
			continue
		}
		for m := range i.Repos[r].Images {
			image := &i.Repos[r].Images[m]
			if majorMinor(image.ProductVersion) != majorMinor(key.ProductVersion) {
				continue
			}
			if k := slices.IndexFunc(image.Platforms, func(p InfoPlatform) bool { return p.is(key) }); k >= 0 {
				return &image.Platforms[k]
			}
		}
	}
	return nil
}

func (p *InfoPlatform) is(key *InfoKey) bool {
	return p.Dockerfile == key.Dockerfile && p.Architecture == key.Architecture && strings.EqualFold(p.OSType, key.OSType) &&
		p.OSVersion == key.OSVersion && (len(p.SimpleTags) == 0) == (len(key.SimpleTags) == 0)
}

// majorMinor is "8.0" of "8.0.11-servicing".
func majorMinor(version string) string {
	version, _, _ = strings.Cut(version, "-")
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// Set puts the entry of an image in its place, as new or over the one that is there; what key says of its name and tags holds. Repositories
// are sorted by name, images by version and first platform, platforms by Dockerfile and system, so that the file does not depend on the
// order of builds.
func (i *ImageInfo) Set(key *InfoKey, platform InfoPlatform) {
	platform.Dockerfile, platform.SimpleTags = key.Dockerfile, key.SimpleTags
	platform.OSType, platform.OSVersion, platform.Architecture = key.OSType, key.OSVersion, key.Architecture
	image := i.image(key)
	image.ProductVersion = key.ProductVersion
	if len(key.SharedTags) > 0 {
		if image.Manifest == nil {
			image.Manifest = &InfoManifest{}
		}
		image.Manifest.SharedTags = key.SharedTags
	}
	if k := slices.IndexFunc(image.Platforms, func(p InfoPlatform) bool { return p.is(key) }); k >= 0 {
		platform.more = image.Platforms[k].more
		image.Platforms[k] = platform
	} else {
		image.Platforms = append(image.Platforms, platform)
	}
	i.sort()
}

// image finds or makes the image of a key: the one that has the platform, else one of the same version and shared tags.
func (i *ImageInfo) image(key *InfoKey) *InfoImage {
	r := slices.IndexFunc(i.Repos, func(r InfoRepo) bool { return r.Repo == key.Repo })
	if r < 0 {
		r = len(i.Repos)
		i.Repos = append(i.Repos, InfoRepo{Repo: key.Repo})
	}
	repo := &i.Repos[r]
	same := func(m *InfoImage) bool { return majorMinor(m.ProductVersion) == majorMinor(key.ProductVersion) }
	for m := range repo.Images {
		image := &repo.Images[m]
		if same(image) && slices.ContainsFunc(image.Platforms, func(p InfoPlatform) bool { return p.is(key) }) {
			return image
		}
	}
	for m := range repo.Images {
		image := &repo.Images[m]
		if same(image) && len(key.SharedTags) > 0 && image.Manifest != nil &&
			slices.ContainsFunc(image.Manifest.SharedTags, func(t string) bool { return slices.Contains(key.SharedTags, t) }) {
			return image
		}
	}
	repo.Images = append(repo.Images, InfoImage{})
	return &repo.Images[len(repo.Images)-1]
}

func (i *ImageInfo) sort() {
	slices.SortStableFunc(i.Repos, func(a, b InfoRepo) int { return strings.Compare(a.Repo, b.Repo) })
	first := func(m InfoImage) string {
		if len(m.Platforms) == 0 {
			return ""
		}
		return m.Platforms[0].order()
	}
	for r := range i.Repos {
		images := i.Repos[r].Images
		for m := range images {
			slices.SortStableFunc(images[m].Platforms, func(a, b InfoPlatform) int { return strings.Compare(a.order(), b.order()) })
		}
		slices.SortStableFunc(images, func(a, b InfoImage) int {
			if c := strings.Compare(a.ProductVersion, b.ProductVersion); c != 0 {
				return c
			}
			return strings.Compare(first(a), first(b))
		})
	}
}

func (p *InfoPlatform) order() string {
	return p.Dockerfile + "-" + p.Architecture + "-" + p.OSType + "-" + p.OSVersion
}

// encodeJSON writes a type of this file with the members that it does not know behind those that it does.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// withMore is the JSON of plain, a type without methods, and of the members more.
func withMore(plain any, more object) ([]byte, error) {
	raw, err := encodeJSON(plain)
	if err != nil || len(more) == 0 {
		return raw, err
	}
	raw = raw[:len(raw)-1]
	for _, m := range more {
		if len(raw) > 1 {
			raw = append(raw, ',')
		}
		name, err := encodeJSON(m.key)
		if err != nil {
			return nil, err
		}
		raw = append(append(append(raw, name...), ':'), m.value...)
	}
	return append(raw, '}'), nil
}

// unknown are the members of data that plain, a pointer to a struct, has no field for.
func unknown(data []byte, plain any) (object, error) {
	var all, more object
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	t := reflect.TypeOf(plain).Elem()
	for _, m := range all {
		known := false
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			known = known || name != "" && strings.EqualFold(name, m.key)
		}
		if !known {
			more = append(more, m)
		}
	}
	return more, nil
}
