package registry

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// The grammar is that of github.com/distribution/reference, which Docker and
// the SDK use, written out in full.
const (
	pathComponent   = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	domainComponent = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
	domainForm      = `(?:` + domainComponent + `(?:\.` + domainComponent + `)*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]{1,5})?`
)

// tagCharacters are those of a tag; the first is none of the last two.
const tagCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

// maxNameLength is the longest registry and repository together, in bytes.
const maxNameLength = 255

// Compiled on first use: most calls of gantry never parse a name.
var (
	repositoryForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^` + pathComponent + `(?:/` + pathComponent + `)*$`)
	})
	registryForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + domainForm + `$`) })
)

const (
	dockerHub        = "docker.io"
	dockerHubRequest = "registry-1.docker.io"
)

// Name is a repository and the registry that holds it.
type Name struct {
	// Registry is host or host:port. Docker Hub is always "docker.io".
	Registry string
	// Repository is the path below it; Docker Hub's own images have their
	// "library/" in front.
	Repository string
}

// NewName returns the name with Docker Hub's aliases resolved. It checks
// nothing.
func NewName(registry, repository string) Name {
	switch strings.ToLower(registry) {
	case dockerHub, "index.docker.io", dockerHubRequest:
		registry = dockerHub
		if !strings.Contains(repository, "/") {
			repository = "library/" + repository
		}
	}
	return Name{Registry: registry, Repository: repository}
}

// String returns registry/repository.
func (n Name) String() string { return n.Registry + "/" + n.Repository }

// SameRegistry says whether both names are in one registry, so that blobs can
// be mounted from one to the other.
func (n Name) SameRegistry(o Name) bool {
	return NewName(n.Registry, n.Repository).requestHost() == NewName(o.Registry, o.Repository).requestHost()
}

// requestHost is the host[:port] that requests go to, in lower case.
func (n Name) requestHost() string {
	if n.Registry == dockerHub {
		return dockerHubRequest
	}
	return strings.ToLower(n.Registry)
}

// Reference is an image as a person names it. Digest is empty when it is
// named by tag alone; with both, the digest counts.
type Reference struct {
	Name
	Tag    string
	Digest cas.Digest
}

// TagOrDigest is what the registry is asked for.
func (r Reference) TagOrDigest() string {
	if r.Digest != "" {
		return string(r.Digest)
	}
	return r.Tag
}

// String returns the full form, with the tag and the digest as far as known.
func (r Reference) String() string {
	s := r.Name.String()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// ParseReference parses [registry/]repository[:tag][@digest] by Docker's
// rules: the part before the first slash is a registry when it has a dot, a
// colon or an upper-case letter, or is "localhost"; else the image is Docker
// Hub's. Without tag and digest the tag is "latest". Fails with
// CONTAINER2009.
func ParseReference(s string) (Reference, error) {
	bad := func(why string) (Reference, error) {
		if withoutPassword(s) != s {
			why = "has an account before the registry, which a name cannot have"
		}
		return Reference{}, diag.New(diag.InvalidBaseReference, fmt.Sprintf("image reference %q %s", withoutPassword(s), why),
			"write registry/repository:tag or registry/repository@sha256:…")
	}
	var ref Reference
	rest := s
	if before, digest, found := strings.Cut(rest, "@"); found {
		d, err := cas.ParseDigest(digest)
		if err != nil {
			return bad("has a digest that is not sha256: and 64 lower-case hexadecimal digits")
		}
		rest, ref.Digest = before, d
	}
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		ref.Tag, rest = rest[i+1:], rest[:i]
		if ParseTag(ref.Tag) != nil {
			return bad(fmt.Sprintf("has the tag %q, which is not valid", ref.Tag))
		}
	}
	registry, repository := splitRegistry(rest)
	ref.Name = NewName(registry, repository)
	switch {
	case ParseRegistry(ref.Registry) != nil:
		return bad(fmt.Sprintf("has the registry %q, which is not host or host:port", ref.Registry))
	case !repositoryForm().MatchString(ref.Repository):
		return bad(fmt.Sprintf("has the repository %q, which is not valid", ref.Repository))
	case len(ref.Registry)+1+len(ref.Repository) > maxNameLength:
		return bad(fmt.Sprintf("has a name longer than %d bytes", maxNameLength))
	}
	if ref.Tag == "" && ref.Digest == "" {
		ref.Tag = "latest"
	}
	return ref, nil
}

func splitRegistry(s string) (registry, repository string) {
	first, rest, found := strings.Cut(s, "/")
	if found && (strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first) {
		return first, rest
	}
	return dockerHub, s
}

// ParseRegistry checks that s is host or host:port. Fails with CONTAINER2012.
func ParseRegistry(s string) error {
	ok := registryForm().MatchString(s)
	if ok && strings.HasPrefix(s, "[") {
		_, err := netip.ParseAddr(strings.Trim(hostOf(s), "[]"))
		ok = err == nil
	}
	if !ok {
		return diag.New(diag.InvalidRegistry, fmt.Sprintf("registry %q is not a host name", withoutPassword(s)),
			"write host or host:port, without a scheme and without a path")
	}
	return nil
}

// ParseRepository checks that s is a repository name of the distribution
// specification. Fails with CONTAINER2005.
func ParseRepository(s string) error {
	if len(s) > maxNameLength || !repositoryForm().MatchString(s) {
		return diag.New(diag.InvalidRepository, fmt.Sprintf("repository %q is not a valid name", s),
			"use lower-case letters, digits, and . _ - / between them")
	}
	return nil
}

// ParseTag checks that s is a tag of the distribution specification. Fails
// with CONTAINER2007.
func ParseTag(s string) error {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' || strings.Trim(s, tagCharacters) != "" {
		return diag.New(diag.InvalidTag, fmt.Sprintf("tag %q is not valid", s),
			"use at most 128 letters, digits, _ . -, and do not begin with . or -")
	}
	return nil
}

// checkReference accepts a tag or a digest.
func checkReference(s string) error {
	if _, err := cas.ParseDigest(s); err == nil {
		return nil
	}
	return ParseTag(s)
}

// hostOf returns addr without its port.
func hostOf(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return strings.Trim(addr, "[]")
}

// isLoopback says whether addr, host or host:port, is this machine by its
// name: localhost, 127.0.0.0/8 or ::1.
func isLoopback(addr string) bool {
	h := strings.ToLower(hostOf(addr))
	if h == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(h)
	return err == nil && ip.Unmap().IsLoopback()
}
