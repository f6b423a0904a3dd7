// Package hosts is what this machine's files say of registries, for package registry: mirrors, what is blocked and what is insecure
// (registries.conf, and insecure-registries of Docker's daemon.json), and certificates (certs.d). The Docker daemon itself is never
// asked: it may not run, and asking takes longer than a publish that changes nothing.
//
// Each file is read once, when a registry is first used.
package hosts

import (
	"fmt"
	"strings"
	"sync"

	"github.com/gantry-build/gantry/internal/certsd"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registriesconf"
	"github.com/gantry-build/gantry/internal/registry"
)

// Files are where configuration is looked for.
type Files struct {
	Registries registriesconf.Paths
	Certs      []string // folders certs.d
	Daemons    []string // files daemon.json
}

// DefaultFiles are those of this machine and user.
func DefaultFiles(getenv func(string) string) Files {
	return Files{Registries: registriesconf.DefaultPaths(getenv), Certs: certsd.DefaultDirs(getenv), Daemons: daemonFiles(getenv)}
}

// Hosts is a registry.Network. It is safe for concurrent use.
type Hosts struct {
	files      Files
	registries func() (*registriesconf.Config, error)
	daemons    func() []insecure
}

// New returns what files say. It reads nothing yet.
func New(files Files) *Hosts {
	return &Hosts{
		files:      files,
		registries: sync.OnceValues(func() (*registriesconf.Config, error) { return registriesconf.Load(files.Registries) }),
		daemons:    sync.OnceValue(func() []insecure { return loadDaemons(files.Daemons) }),
	}
}

// Access fails with GANTRY5009 for a blocked name, for pushes too, as with Podman, and with GANTRY5010 when registries.conf cannot be used.
func (h *Hosts) Access(name registry.Name) (bool, error) {
	conf, err := h.registries()
	if err != nil {
		return false, err
	}
	rule, _ := conf.Find(name.String())
	return rule.Insecure || h.daemonAllows(name.Registry), blocked(rule, name.String())
}

func blocked(rule registriesconf.Rule, name string) error {
	if !rule.Blocked {
		return nil
	}
	return diag.New(diag.RegistryBlocked, fmt.Sprintf("%s is blocked by the entry %q of %s", name, rule.Prefix, rule.File),
		"use another registry, or remove blocked there")
}

// Places are the mirrors that registries.conf names, and the location itself. What is blocked is the location: mirrors of it may be there
// for that very reason, as containers/image and OpenShift's NeverContactSource have it.
func (h *Hosts) Places(name registry.Name, ref string) ([]registry.Place, error) {
	conf, err := h.registries()
	if err != nil {
		return nil, err
	}
	sources, said := conf.Sources(name.String(), ref)
	if !said {
		return []registry.Place{{Name: name, Insecure: h.daemonAllows(name.Registry)}}, nil
	}
	full := name.String() + ":" + ref
	if strings.Contains(ref, ":") {
		full = name.String() + "@" + ref
	}
	logical, _ := conf.Find(full)
	var out []registry.Place
	for _, s := range sources {
		place, err := h.place(name, s)
		if err != nil {
			return nil, err
		}
		rule, _ := conf.Find(s.Name)
		if place.Refused = blocked(rule, s.Name); !s.Mirror && place.Refused == nil {
			place.Refused = blocked(logical, full)
		}
		out = append(out, place)
	}
	return out, nil
}

func (h *Hosts) place(name registry.Name, s registriesconf.Source) (registry.Place, error) {
	host, repository, _ := strings.Cut(s.Name, "/")
	for _, err := range []error{registry.ParseRegistry(host), registry.ParseRepository(repository)} {
		if err != nil {
			return registry.Place{}, diag.Wrap(diag.BadRegistriesConf, err, fmt.Sprintf("%s leads to %q, which is no repository", name, s.Name), "repair the location in registries.conf")
		}
	}
	return registry.Place{Name: registry.NewName(host, repository), Insecure: s.Insecure || h.daemonAllows(host)}, nil
}

// Certificates are those of certs.d. Fails with GANTRY5011.
func (h *Hosts) Certificates(host string) (*registry.Certificates, error) {
	found, err := certsd.Load(h.files.Certs, host)
	if found == nil || err != nil {
		return nil, err
	}
	return &registry.Certificates{From: found.Dir, Authorities: found.Authorities, Client: found.Client}, nil
}

// Helpers are those of registries.conf. Fails with GANTRY5010.
func (h *Hosts) Helpers() ([]string, error) {
	conf, err := h.registries()
	if err != nil {
		return nil, err
	}
	return conf.Helpers(), nil
}
