package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// Place is a repository that is asked for content which another name names.
type Place struct {
	Name     Name
	Insecure bool // any certificate, and plain HTTP
	// Refused is why it must not be asked, if so.
	Refused error
}

// Network is what this machine's configuration says of registries, beside
// accounts. It is asked when a repository is first used; what it reads it
// keeps. Errors are coded.
type Network interface {
	// Access says how a repository itself is reached, and fails when it must
	// not be, which holds for pushes: what is read is read from Places.
	Access(name Name) (insecure bool, err error)
	// Places lists where a repository's content is read from, best first. ref
	// is a tag or a digest, of a manifest or a blob.
	Places(name Name, ref string) ([]Place, error)
	// Certificates of a registry; nil when it has none of its own.
	Certificates(registry string) (*Certificates, error)
	// Helpers are credential helpers for every registry, asked after Docker's
	// and Podman's files.
	Helpers() ([]string, error)
}

// Certificates are those of one registry, beside the ones that the system
// trusts.
type Certificates struct {
	From        string   // the folder, for messages
	Authorities [][]byte // PEM, one or more certificates each
	Client      []tls.Certificate
}

// openNetwork is for a machine whose configuration says nothing.
type openNetwork struct{}

func (openNetwork) Access(Name) (bool, error)                  { return false, nil }
func (openNetwork) Places(n Name, _ string) ([]Place, error)   { return []Place{{Name: n}}, nil }
func (openNetwork) Certificates(string) (*Certificates, error) { return nil, nil }
func (openNetwork) Helpers() ([]string, error)                 { return nil, nil }

// read asks the places of a repository one after the other until one has what
// is wanted. Only the last one's failure is an error: what a mirror lacks, or
// whether it is there at all, does not matter as long as somebody answers.
// Whatever answers is verified as if there were no mirror.
func read[T any](ctx context.Context, r *Repository, ref string, ask func(context.Context, *Repository) (T, error)) (T, error) {
	var none T
	if r.invalid != nil || r.mode == ModePush || r.fixed {
		return ask(ctx, r)
	}
	places, err := r.client.network.Places(r.name, ref)
	if err != nil {
		return none, err
	}
	var mirrors []string
	for i, p := range places {
		at := r.at(p)
		last := i == len(places)-1
		at.spare = !last
		if !last && (r.client.isDown(at) || r.client.hasFailed(at, ref)) {
			continue
		}
		var got T
		if err = p.Refused; err == nil {
			got, err = ask(impatient(ctx, at.spare), at)
		}
		if err == nil || ctx.Err() != nil {
			return got, err
		}
		if last {
			return none, afterMirrors(err, mirrors)
		}
		r.client.noteDown(at, err)
		r.client.log.InfoContext(ctx, "a mirror did not serve it and the next place is asked", "mirror", p.Name.String(), "ref", ref, "reason", err.Error())
		mirrors = append(mirrors, fmt.Sprintf("%s: %s", p.Name, reasonOf(err)))
	}
	return none, diag.New(diag.Internal, "no place to read "+r.refer(ref)+" from", "please report it")
}

// mirrors are the places beside the registry itself, as far as they may be
// asked.
func (r *Repository) mirrors(ref string) ([]*Repository, error) {
	if r.invalid != nil || r.mode == ModePush || r.fixed {
		return nil, nil
	}
	places, err := r.client.network.Places(r.name, ref)
	if err != nil {
		return nil, err
	}
	var list []*Repository
	for _, p := range places {
		if at := r.at(p); p.Refused == nil && p.Name != r.name && !r.client.isDown(at) {
			list = append(list, at)
		}
	}
	return list, nil
}

// at is the repository of a place. The variables with credentials are for the
// registry that the user named and go to no other.
func (r *Repository) at(p Place) *Repository {
	mode := r.mode
	if !p.Name.SameRegistry(r.name) {
		mode = modeElsewhere
	}
	out := r.client.repository(p.Name, mode, p.Insecure)
	out.fixed = true
	return out
}

// afterMirrors adds to an error what the mirrors before it said.
func afterMirrors(err error, mirrors []string) error {
	var coded *diag.Error
	if len(mirrors) == 0 || !errors.As(err, &coded) {
		return err
	}
	out := *coded
	out.What += " (asked before: " + strings.Join(mirrors, "; ") + ")"
	return &out
}

// reasonOf is an error without what to do about it.
func reasonOf(err error) string {
	var coded *diag.Error
	switch {
	case !errors.As(err, &coded):
		return err.Error()
	case coded.Err != nil:
		return coded.Err.Error()
	}
	return coded.What
}

// isDown says whether nobody was reached at a place before. Its name alone is
// then no reason to wait for it again.
func (c *Client) isDown(r *Repository) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.host != nil && c.down[r.host.addr]
}

func (c *Client) noteDown(r *Repository, err error) {
	if r.host == nil || diag.CodeOf(err) != diag.RegistryUnreachable {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down[r.host.addr] = true
}

// withCertificates returns the clients of a registry that has certificates of
// its own.
func (c *Client) withCertificates(own *Certificates) (strict, lax *http.Client, err error) {
	base, ok := c.strict.Transport.(*http.Transport)
	if !ok {
		return c.strict, c.lax, nil
	}
	t := base.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{}
	}
	if len(own.Authorities) > 0 {
		pool := t.TLSClientConfig.RootCAs
		if pool == nil {
			if pool, err = x509.SystemCertPool(); err != nil {
				pool = x509.NewCertPool()
			}
		}
		pool = pool.Clone()
		for _, pem := range own.Authorities {
			if !pool.AppendCertsFromPEM(pem) {
				return nil, nil, diag.New(diag.BadCertificates, fmt.Sprintf("a .crt file in %s has no certificate in PEM", own.From),
					"replace it by the certificate of the authority, or remove it")
			}
		}
		t.TLSClientConfig.RootCAs = pool
	}
	t.TLSClientConfig.Certificates = append(t.TLSClientConfig.Certificates, own.Client...)
	strict, lax = httpClients(t)
	return strict, lax, nil
}

// Manifest reads a manifest or index by tag or digest. By digest the body
// hashes to it; by tag it hashes to what the registry said. Fails with
// CONTAINER1015 (and ErrNotFound in the chain) when it does not exist, 1016
// and 1008 without access, 1014 for other answers, 1017 without a connection,
// CONTAINER2003 for a document of another kind, GANTRY2004 for one of another
// digest.
func (r *Repository) Manifest(ctx context.Context, tagOrDigest string) (*Manifest, error) {
	return read(ctx, r, tagOrDigest, func(ctx context.Context, at *Repository) (*Manifest, error) { return at.readManifest(ctx, tagOrDigest) })
}

// HeadManifest asks what a tag or digest names without reading it. A registry
// that does not answer HEAD, or not in full, is asked with GET. Errors are
// those of Manifest.
func (r *Repository) HeadManifest(ctx context.Context, tagOrDigest string) (Descriptor, error) {
	return read(ctx, r, tagOrDigest, func(ctx context.Context, at *Repository) (Descriptor, error) { return at.askManifest(ctx, tagOrDigest) })
}

// HasBlob asks whether the registry says that the repository has a blob. It
// says so of some blobs that it lost: only a download proves one.
func (r *Repository) HasBlob(ctx context.Context, digest cas.Digest) (bool, error) {
	return r.readFlag(ctx, digest, func(ctx context.Context, at *Repository) (bool, error) { return at.askBlob(ctx, digest) })
}

// readFlag is read for questions whose "no" is no error.
func (r *Repository) readFlag(ctx context.Context, digest cas.Digest, ask func(context.Context, *Repository) (bool, error)) (bool, error) {
	has, err := read(ctx, r, string(digest), func(ctx context.Context, at *Repository) (bool, error) {
		has, err := ask(ctx, at)
		if err == nil && !has {
			err = errAbsent
		}
		return has, err
	})
	if errors.Is(err, errAbsent) {
		return false, nil
	}
	return has, err
}

// errAbsent is a "no" on its way through read.
var errAbsent = errors.New("not there")
