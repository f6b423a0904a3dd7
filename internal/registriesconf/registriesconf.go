// Package registriesconf reads registries.conf, by which Podman, Buildah and Skopeo know a company's mirrors, and the registries that may
// be spoken to without a valid certificate or not at all (containers-registries.conf(5), version 2; of version 1 the insecure and blocked
// lists). What it says of names without a registry does not concern Gantry, whose references always have one.
//
// The file is $CONTAINERS_REGISTRIES_CONF, else the user's (~/.config/containers/registries.conf), else the system's
// (/etc/containers/registries.conf). With the user's own file only the user's registries.conf.d counts, else the system's and then the
// user's. A later file replaces the entries of an earlier one that have the same prefix.
//
// In four points it differs from containers/image, which TestLikeSkopeo of package hosts compares it with: the prefix example.com is not
// one of example.com:5000, which its authors call unintended; a prefix with a tag or digest counts, as the manual has it; a blocked
// entry whose location is elsewhere blocks that too; and a slash at the end of a place says nothing, where theirs is no name any more.
package registriesconf

import (
	"cmp"
	"slices"
	"strings"
)

// Config is what all files say together. The zero value says nothing.
type Config struct {
	entries []entry // by prefix, longest first
	helpers []string
}

// authFiles stands among credential-helpers for auth.json and its like.
const authFiles = "containers-auth.json"

// Helpers are the credential helpers for all registries, docker-credential-NAME each, in their order.
func (c *Config) Helpers() []string {
	return slices.DeleteFunc(slices.Clone(c.helpers), func(h string) bool { return h == authFiles })
}

// entry is one [[registry]].
type entry struct {
	prefix       string
	location     string // empty only with a wildcard: the name stays
	insecure     bool
	blocked      bool
	byDigestOnly bool
	mirrors      []mirror
	file         string
}

type mirror struct {
	location string
	insecure bool
	pull     string // all, digest-only or tag-only
}

// Values of pull-from-mirror.
const (
	pullAll    = "all"
	pullDigest = "digest-only"
	pullTag    = "tag-only"
)

// Rule is what is said of one name.
type Rule struct {
	Insecure bool
	Blocked  bool
	File     string // that says so
	Prefix   string // of the entry
}

// Find returns the rule for a name, registry/repository, with :tag or @digest or without. ok is false when nothing is said.
func (c *Config) Find(name string) (rule Rule, ok bool) {
	e, _ := c.find(name)
	if e == nil {
		return Rule{}, false
	}
	return Rule{Insecure: e.insecure, Blocked: e.blocked, File: e.file, Prefix: e.prefix}, true
}

// find returns the entry with the longest prefix, and how much of name the prefix is.
func (c *Config) find(name string) (*entry, int) {
	for i := range c.entries {
		if n := match(name, c.entries[i].prefix); n >= 0 {
			return &c.entries[i], n
		}
	}
	return nil, 0
}

// match returns how many bytes of name a prefix stands for, or -1.
func match(name, prefix string) int {
	host, _, _ := strings.Cut(name, "/")
	if domain, wild := strings.CutPrefix(prefix, "*"); wild {
		// *.example.com is every subdomain, of any depth, at any port
		bare, _, _ := strings.Cut(host, ":")
		if strings.HasSuffix(bare, domain) && len(bare) > len(domain) {
			return len(bare)
		}
		return -1
	}
	rest, found := strings.CutPrefix(name, prefix)
	switch {
	case !found:
		return -1
	case rest == "", rest[0] == '/', rest[0] == '@', rest[0] == ':' && len(prefix) > len(host):
		return len(prefix)
	}
	return -1
}

// Source is a place to read from.
type Source struct {
	Name     string // registry/repository, without tag and digest
	Insecure bool
	Mirror   bool
}

// Sources lists where the content of a repository, registry/repository, is read from, best first, when it is asked for by ref: a tag, or a
// digest of a manifest or blob. The last but the last resort is the location itself. Mirrors that are for tags alone come after it when a
// digest is asked for: what their tags name has parts that nobody else may have, and a digest proves what it gets wherever it is from. ok
// is false when nothing is said of that name.
func (c *Config) Sources(repository, ref string) (out []Source, ok bool) {
	digest := strings.Contains(ref, ":")
	full := repository + ":" + ref
	if digest {
		full = repository + "@" + ref
	}
	e, n := c.find(full)
	if e == nil {
		return nil, false
	}
	rest := ""
	if n < len(repository) {
		rest = repository[n:]
	}
	var late []Source
	for _, m := range e.mirrors {
		s := Source{Name: join(m.location, rest), Insecure: m.insecure, Mirror: true}
		switch {
		case e.byDigestOnly && !digest, m.pull == pullDigest && !digest:
		case m.pull == pullTag && digest:
			late = append(late, s)
		default:
			out = append(out, s)
		}
	}
	own := Source{Name: repository, Insecure: e.insecure}
	if e.location != "" {
		own.Name = join(e.location, rest)
	}
	return append(append(out, own), late...), true
}

// join puts the rest of a name after another prefix. After a wildcard the rest may begin with a port, which the location replaces.
func join(location, rest string) string {
	if strings.HasPrefix(rest, ":") {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			rest = rest[i:]
		} else {
			rest = ""
		}
	}
	return location + rest
}

// merge puts what a later file says in place of the same of earlier ones: entries by their prefix, the helpers as a whole. Of two entries
// of one file that have the same prefix the first counts, as with Skopeo.
func (c *Config) merge(later *Config) {
	if later.helpers != nil {
		c.helpers = later.helpers
	}
	for i, e := range later.entries {
		same := func(old entry) bool { return old.prefix == e.prefix }
		if slices.ContainsFunc(later.entries[:i], same) {
			continue
		}
		c.entries = append(slices.DeleteFunc(c.entries, same), e)
	}
	slices.SortFunc(c.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(len(b.prefix), len(a.prefix)), strings.Compare(a.prefix, b.prefix))
	})
}
