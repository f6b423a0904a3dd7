// Package certsd reads the certificates that Podman and Docker have for one registry (containers-certs.d(5); docs.docker.com,
// "verify repository client with certificates").
//
// A folder certs.d has a folder for each registry, named HOST or HOST:PORT as references write it. In that, NAME.crt are certificates of
// authorities, and NAME.cert with NAME.key is a certificate for the client. The first folder that there is counts, as with Podman: they
// are not put together.
package certsd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// maxFile is the largest certificate file that is read, in bytes.
const maxFile = 1 << 20

// Certificates are those of one registry.
type Certificates struct {
	Dir         string
	Authorities [][]byte // PEM
	Client      []tls.Certificate
}

// DefaultDirs are the folders of this machine and user, in their order.
func DefaultDirs(getenv func(string) string) []string {
	var out []string
	home := getenv("HOME")
	if runtime.GOOS == "windows" {
		home = getenv("USERPROFILE")
	}
	if home != "" {
		out = append(out, filepath.Join(home, ".config", "containers", "certs.d"))
	}
	if runtime.GOOS != "windows" {
		out = append(out, "/etc/containers/certs.d", "/etc/docker/certs.d")
	} else if dir := getenv("ProgramData"); dir != "" {
		out = append(out, filepath.Join(dir, "docker", "certs.d"))
	}
	if home != "" {
		// Docker Desktop, and Docker without root
		out = append(out, filepath.Join(home, ".docker", "certs.d"), filepath.Join(home, ".config", "docker", "certs.d"))
	}
	return slices.Compact(out)
}

// Load reads the certificates of a registry, HOST or HOST:PORT. It returns nil when there is no folder for it. Fails with GANTRY5011.
func Load(dirs []string, registry string) (*Certificates, error) {
	if strings.ContainsAny(registry, `/\`) || registry == "" || registry == "." || registry == ".." {
		return nil, nil
	}
	if runtime.GOOS == "windows" { // where a name has no colon, and Docker leaves it out
		registry = strings.ReplaceAll(registry, ":", "")
	}
	for _, dir := range dirs {
		folder := filepath.Join(dir, registry)
		entries, err := os.ReadDir(folder)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			continue
		case err != nil:
			return nil, bad(folder, err.Error())
		}
		return load(folder, entries)
	}
	return nil, nil
}

func load(folder string, entries []os.DirEntry) (*Certificates, error) {
	c := &Certificates{Dir: folder}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	for _, e := range entries { // sorted by name
		name, ext := strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), filepath.Ext(e.Name())
		file := filepath.Join(folder, e.Name())
		switch {
		case ext == ".crt":
			pem, err := read(file)
			if err != nil {
				return nil, bad(file, err.Error())
			}
			c.Authorities = append(c.Authorities, pem)
		case ext == ".cert" && !names[name+".key"]:
			return nil, bad(file, fmt.Sprintf("its key %s.key is not there; the certificate of an authority has the ending .crt", name))
		case ext == ".key" && !names[name+".cert"]:
			return nil, bad(file, fmt.Sprintf("its certificate %s.cert is not there", name))
		case ext == ".cert":
			pair, err := readPair(file, filepath.Join(folder, name+".key"))
			if err != nil {
				return nil, bad(file, err.Error())
			}
			c.Client = append(c.Client, pair)
		}
	}
	return c, nil
}

func readPair(certFile, keyFile string) (pair tls.Certificate, err error) {
	cert, err := read(certFile)
	if err != nil {
		return pair, err
	}
	key, err := read(keyFile)
	if err != nil {
		return pair, err
	}
	return tls.X509KeyPair(cert, key)
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("the file has more than %d bytes", maxFile)
	}
	return os.ReadFile(file)
}

func bad(file, why string) error {
	return diag.New(diag.BadCertificates, file+" cannot be used: "+why, "repair it, or remove it from certs.d")
}
