// Package engine speaks to the container engine of this machine, Docker or Podman: it finds out what the engine has, and loads images into
// it. Docker is spoken to over its HTTP interface where DOCKER_HOST names a socket or a plain address, else by its command line, which
// knows contexts, TLS and ssh; Podman by its command line, and over Docker's interface, which its service offers, where that is all there is.
//
// An image that the engine has by the digest of its configuration (or of its manifest or index, where Docker keeps images in containerd's
// store) is not loaded again: names that it lacks are added, but not to an index, of which Docker may have pulled one platform's part. What was
// loaded is asked for afterwards and must be that image.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// Kind is a program that runs containers.
type Kind string

// Kinds.
const (
	Docker Kind = "docker"
	Podman Kind = "podman"
)

// ParseKind reads LocalRegistry, in any case of letters as MSBuild compares; empty means that it is found out. Anything else is
// CONTAINER2002.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(strings.ToLower(s)); k {
	case "", Docker, Podman:
		return k, nil
	}
	return "", diag.New(diag.UnknownLocalRegistry, fmt.Sprintf("the local registry %q is not known", s), "use Docker or Podman, or leave it out")
}

// Options are what the package needs of the process.
type Options struct {
	Getenv func(string) string
	Log    *slog.Logger
}

// Engine is Docker or Podman on this machine. It is safe for concurrent use.
type Engine struct {
	Kind Kind
	log  *slog.Logger
	verbs
}

// verbs are what both ways to speak to an engine offer.
type verbs interface {
	// inspect says what a name or ID is; nil when there is no such image.
	inspect(ctx context.Context, name string) (*found, error)
	// all are the images that the engine has.
	all(ctx context.Context) ([]found, error)
	// load has the engine read an archive that write streams.
	load(ctx context.Context, write func(io.Writer) error) error
	// tag gives the image with an ID a name, repository:tag.
	tag(ctx context.Context, id, name string) error
	// save writes an archive of an image.
	save(ctx context.Context, name string, oci bool, w io.Writer) error
	// info describes the engine.
	info(ctx context.Context) (*info, error)
}

// found is an image of the engine.
type found struct {
	ID     string `json:"Id"`
	RootFS struct {
		Layers []cas.Digest
	}
	ManifestType string // of Podman alone
}

// digest is the ID as a digest, which Podman writes without the algorithm.
func (f *found) digest() cas.Digest {
	d, err := cas.ParseDigest("sha256:" + strings.TrimPrefix(f.ID, "sha256:"))
	if err != nil {
		return ""
	}
	return d
}

// is says whether the image is one that has one of the digests.
func (f *found) is(digests []cas.Digest) bool {
	return f != nil && slices.Contains(digests, f.digest())
}

// info is the part of docker info and podman info that matters here.
type info struct {
	DockerRootDir string
	ServerErrors  []string
	DriverStatus  [][2]string
	OSType        string // of Docker, as is Architecture, which uname writes
	Architecture  string
	Host          struct {
		BuildahVersion string `json:"buildahVersion"`
		OS             string `json:"os"`
		Arch           string `json:"arch"`
	} `json:"host"` // of Podman
}

// absent is the error of an engine that does not answer at all.
type absent struct{ error }

// platform is os/architecture[/variant] of the machine that the engine runs on.
func (i *info) platform() string {
	if i.Host.Arch != "" {
		return i.Host.OS + "/" + i.Host.Arch
	}
	arch := i.Architecture
	switch arch {
	case "x86_64":
		arch = "amd64"
	case "aarch64":
		arch = "arm64"
	case "armv7l":
		arch = "arm/v7"
	case "armv6l":
		arch = "arm/v6"
	case "i386", "i686":
		arch = "386"
	}
	return i.OSType + "/" + arch
}

// containerd says whether Docker keeps images in containerd's store.
func (i *info) containerd() bool {
	for _, s := range i.DriverStatus {
		if strings.HasPrefix(s[1], "io.containerd.snapshotter") {
			return true
		}
	}
	return false
}

func parseInfo(data []byte) (*info, error) {
	var i info
	if err := json.Unmarshal(data, &i); err != nil {
		return nil, err
	}
	if len(i.ServerErrors) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(i.ServerErrors, "; "))
	}
	return &i, nil
}

// Single says which one image of an index the engine takes: that for the platform of its machine, as with docker pull and podman load.
// It is empty for an engine that holds an index as it is: Docker with the containerd image store.
func (e *Engine) Single(ctx context.Context) (platform string, err error) {
	i, err := e.info(ctx)
	if err != nil {
		return "", e.failed("it does not say what it can hold", err)
	}
	if e.Kind == Docker && i.containerd() {
		return "", nil
	}
	return i.platform(), nil
}

// patience is how long an engine may take to say that it is there, as with the .NET SDK.
const patience = 5 * time.Second

// Find returns the engine of a kind, or, when kind is empty, the one that answers: Docker where both do, unless docker is another name of
// podman. Nothing is asked of an engine that was named. Fails with CONTAINER1012.
func Find(ctx context.Context, o Options, kind Kind) (*Engine, error) {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	if kind != "" {
		v := open(o, kind)
		if v == nil {
			return nil, diag.New(diag.NoLocalRegistry, fmt.Sprintf("there is no %s on this machine", kind), "install it, or put it on PATH")
		}
		return &Engine{kind, o.Log, v}, nil
	}
	podman := make(chan error, 1)
	go func() { podman <- answers(ctx, Podman) }()
	docker := open(o, Docker)
	why, isPodman := errNotInstalled.Error(), false
	if docker != nil {
		ctx, stop := context.WithTimeout(ctx, patience)
		defer stop()
		i, err := docker.info(ctx)
		switch {
		case err != nil:
			why, docker = err.Error(), nil
		case i.DockerRootDir == "" && i.Host.BuildahVersion != "":
			isPodman = true
		}
	}
	noPodman := <-podman
	switch {
	case docker != nil && !(isPodman && noPodman == nil):
		return &Engine{Docker, o.Log, docker}, nil
	case noPodman == nil:
		level := slog.LevelDebug
		if why != errNotInstalled.Error() { // who runs docker then finds what it had before
			level = slog.LevelInfo
		}
		o.Log.Log(ctx, level, "images go to podman", "docker", why)
		return &Engine{Podman, o.Log, &cli{program: string(Podman)}}, nil
	}
	return nil, diag.New(diag.NoLocalRegistry, fmt.Sprintf("neither docker nor podman answers on this machine: docker: %s; podman: %s", why, noPodman),
		"start Docker or install Podman, or set ContainerRegistry or ContainerArchiveOutputPath")
}

// open chooses how to speak to an engine; nil when there is no way.
func open(o Options, kind Kind) verbs {
	host := o.Getenv("DOCKER_HOST")
	if kind == Podman {
		host = o.Getenv("CONTAINER_HOST")
	}
	_, err := exec.LookPath(string(kind))
	if kind == Docker || err != nil {
		plain := o.Getenv("DOCKER_CONTEXT") == "" && o.Getenv("DOCKER_TLS_VERIFY") == "" && o.Getenv("DOCKER_TLS") == ""
		if a := newAPI(host); a != nil && plain {
			return a
		}
	}
	switch {
	case err == nil:
		return &cli{program: string(kind)}
	case kind == Docker && host == "":
		if a := newAPI("unix://" + dockerSocket); a != nil && isSocket(dockerSocket) {
			return a
		}
	}
	return nil
}

var errNotInstalled = errors.New("it is not installed")

// answers says why a program does not.
func answers(ctx context.Context, kind Kind) error {
	if _, err := exec.LookPath(string(kind)); err != nil {
		return errNotInstalled
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	_, err := (&cli{program: string(kind)}).run(ctx, "version")
	return err
}
