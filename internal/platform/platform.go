// Package platform says which image of an index a builder takes for a platform, by the rules of containerd/platforms, which BuildKit and the
// container engines share.
package platform

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/image"
)

// Compatible are the platforms whose images run on p, the best first (containerd/platforms, compare.go, platformVector).
func Compatible(p dockerfile.Platform) []dockerfile.Platform {
	list := []dockerfile.Platform{p}
	down := func(architecture string, from, to int) {
		for v := from; v >= to; v-- {
			q := p
			q.Architecture, q.Variant = architecture, "v"+strconv.Itoa(v)
			if architecture == "amd64" && v == 1 {
				q.Variant = ""
			}
			list = append(list, q)
		}
	}
	number := version(strings.TrimPrefix(p.Variant, "v"))
	switch p.Architecture {
	case "amd64":
		down("amd64", number-1, 1)
		q := p
		q.Architecture, q.Variant = "386", ""
		list = append(list, q)
	case "arm":
		down("arm", number-1, 5)
	case "arm64":
		for _, variant := range below(p.Variant) {
			q := p
			q.Variant = variant
			list = append(list, q)
		}
		down("arm", 8, 5)
	}
	return list
}

// below are the variants of arm64 that one runs beside its own: those of its major version, and with v9.x all up to v8.(x+5). v8 is none.
func below(variant string) (list []string) {
	if variant == "" {
		return nil
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(variant, "v"), ".")
	x := version(minor)
	from := x - 1
	if major == "9" {
		for v := x - 1; v >= 0; v-- {
			list = append(list, strings.TrimSuffix("v9."+strconv.Itoa(v), ".0"))
		}
		from = x + 5
	}
	for v := from; v > 0; v-- {
		list = append(list, "v8."+strconv.Itoa(v))
	}
	return append(list, "")
}

// version is a number of a variant; what is far beyond any counts as the last.
func version(s string) int {
	n, _ := strconv.Atoi(s)
	return min(n, 99)
}

// Serves is Matches for the platform of an index or a configuration.
func Serves(have image.Platform, want dockerfile.Platform) bool { return Matches(Of(have), want) }

// Matches says whether an image for have is one for exactly want, and not only one that runs there. A version of Windows is matched by as much
// of it as want says.
func Matches(have, want dockerfile.Platform) bool {
	version := have.OSVersion == want.OSVersion || want.OSVersion == "" || strings.HasPrefix(have.OSVersion, want.OSVersion+".")
	have.OSVersion, want.OSVersion = "", ""
	return version && have == want
}

// Choose finds the image of an index for a platform; root is the digest of the index. Where several are equally good, which one a builder takes is not known: then the
// digest is that of the index, which changes when any of them does. One without a platform is for any, behind those that have one: a builder
// looks into its configuration.
func Choose(root cas.Digest, x *image.Index, p dockerfile.Platform) (cas.Digest, bool) {
	one := func(fits func(*image.Platform) bool) (cas.Digest, bool) {
		var found []cas.Digest
		for _, m := range x.Manifests {
			if image.IsManifest(m.MediaType) && fits(m.Platform) && !slices.Contains(found, m.Digest) {
				found = append(found, m.Digest)
			}
		}
		switch len(found) {
		case 0:
			return "", false
		case 1:
			return found[0], true
		}
		return root, true
	}
	for _, want := range Compatible(p) {
		if d, ok := one(func(have *image.Platform) bool { return have != nil && Matches(Of(*have), want) }); ok {
			return d, true
		}
	}
	return one(func(have *image.Platform) bool { return have == nil })
}

// Of brings the platform of an index or a configuration into the form of a Dockerfile's.
func Of(p image.Platform) dockerfile.Platform {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	q, err := dockerfile.ParsePlatform(s, dockerfile.Platform{})
	if err != nil {
		return dockerfile.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}
	}
	q.OSVersion = p.OSVersion
	return q
}
