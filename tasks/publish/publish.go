// Package publish runs the stages in one process for any published folder: what gantry publish does. It has no part of an
// image's making itself; it finds out what a person did not say (which app lies in the folder, which base it needs, where its
// files come from) and hands each stage a request.
//
// The stages hand each other the same documents as under MSBuild, in a temporary folder that is removed at the end, and so the
// same folder gives the same layers either way.
package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/computeconfig"
	"github.com/gantry-build/gantry/tasks/createlayers"
	"github.com/gantry-build/gantry/tasks/downloadlayers"
	"github.com/gantry-build/gantry/tasks/push"
	"github.com/gantry-build/gantry/tasks/resolvebase"
	"github.com/gantry-build/gantry/tasks/runner"
	"github.com/gantry-build/gantry/tasks/scan"
	"github.com/gantry-build/gantry/tasks/selectbase"
)

// Options are what a person says; the texts are as they were written.
type Options struct {
	// Folder is the published folder.
	Folder string
	// To is registry/repository. Tags may be empty: latest.
	To   string
	Tags []string
	// Base is a reference; empty means Microsoft's image for the framework that the app asks for.
	Base string
	// RuntimeIdentifier is empty for that of the app, else linux on this machine's architecture.
	RuntimeIdentifier string
	// Entrypoint is empty for that of the app in the folder.
	Entrypoint []string
	// Environment and Labels are NAME=VALUE; Ports are NUMBER or NUMBER/TYPE.
	Environment, Labels, Ports []string
	// User and WorkingDirectory are empty for the defaults of the .NET SDK.
	User, WorkingDirectory string
	// Format is oci, docker, or empty for the base's.
	Format string
	// Layers is auto or single.
	Layers string
	// SourceDateEpoch is in digits, or empty.
	SourceDateEpoch string
	// DryRun asks the registry and writes nothing to it.
	DryRun bool
	// NoSkip pushes without asking first; ForcePush sends everything again. Verify is as in tasks.PushSettings.
	NoSkip, ForcePush bool
	Verify            string
}

// Run makes the image and pushes it, or says what would be done, and returns its digest. Errors are those of the stages, and
// GANTRY1009 for options that cannot be used.
func Run(ctx context.Context, env *runner.Env, o Options) (cas.Digest, error) {
	s, err := settle(env, o)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "gantry-publish-")
	if err != nil {
		return "", diag.Wrap(diag.ResponseUnwritable, err, "no temporary folder can be made", "check TMPDIR and the free space")
	}
	defer os.RemoveAll(dir)
	return (&build{env: env, dir: dir, settings: s}).run(ctx)
}

// settings are options of which nothing is left to find out.
type settings struct {
	Options
	app                 *app // nil when the folder has none that is known
	name                registry.Name
	environment, labels []tasks.NameValue
	ports               []tasks.Port
}

// settle checks the options before any work is done, and fills in what is missing.
func settle(env *runner.Env, o Options) (*settings, error) {
	s := &settings{Options: o}
	if !filepath.IsAbs(s.Folder) {
		s.Folder = filepath.Join(env.Dir, s.Folder)
	}
	if err := s.parse(); err != nil {
		return nil, err
	}
	if err := s.destination(); err != nil {
		return nil, err
	}
	var err error
	if s.app, err = findApp(s.Folder); err != nil && len(s.Entrypoint) == 0 {
		return nil, err
	}
	if s.RuntimeIdentifier == "" {
		s.RuntimeIdentifier = s.app.rid()
	}
	windows := strings.HasPrefix(s.RuntimeIdentifier, "win")
	if s.WorkingDirectory == "" {
		s.WorkingDirectory = map[bool]string{false: "/app/", true: `C:\app\`}[windows]
	}
	if s.Base == "" {
		if s.Base, err = s.app.base(windows); err != nil {
			return nil, err
		}
		env.Log.Info("no --base: this one fits the app", "ref", s.Base)
	}
	return s, nil
}

// destination takes --to and the tags apart.
func (s *settings) destination() error {
	host, repository, found := strings.Cut(s.To, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return badOption(fmt.Sprintf("--to %q names no registry", s.To), "write registry/repository, for example registry.example.com/team/shop")
	}
	if strings.ContainsAny(repository, ":@") {
		return badOption(fmt.Sprintf("--to %q has a tag or digest", s.To), "name tags with --tag")
	}
	for _, err := range []error{registry.ParseRegistry(host), registry.ParseRepository(repository)} {
		if err != nil {
			return err
		}
	}
	s.name = registry.Name{Registry: host, Repository: repository}
	if len(s.Tags) == 0 {
		s.Tags = []string{"latest"} // as the SDK does
	}
	for _, t := range s.Tags {
		if err := registry.ParseTag(t); err != nil {
			return err
		}
	}
	return nil
}

func badOption(what, hint string) error { return diag.New(diag.BadUsage, what, hint) }

// build is one run: settings, and the folder with the documents.
type build struct {
	*settings
	env *runner.Env
	dir string
}

func (b *build) file(stage string) string { return filepath.Join(b.dir, stage+".json") }

// call runs a stage and leaves its response for the next.
func (b *build) call(ctx context.Context, stage string, req runner.Request) (runner.Response, error) {
	s, err := runner.Find(runner.Stages(), stage)
	if err != nil {
		return nil, err
	}
	*req.Header() = tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: stage}
	return s.Write(ctx, b.env, req, b.file(stage))
}

func (b *build) run(ctx context.Context) (cas.Digest, error) {
	for _, step := range []func(context.Context) error{b.base, b.layers, b.config} {
		if err := step(ctx); err != nil {
			return "", err
		}
	}
	download, err := b.download()
	if err != nil {
		return "", err
	}
	ask := !b.NoSkip
	req := &push.Request{
		SelectBasePath:    b.file("select-base"),
		ComputeConfigPath: b.file("compute-config"),
		CreateLayersPath:  b.file("create-layers"),
		Registry:          b.name.Registry,
		Repository:        b.name.Repository,
		Tags:              b.Tags,
		PushSettings:      tasks.PushSettings{SkipPushIfPresent: &ask, ForcePush: b.ForcePush, Verify: b.Verify},

		DownloadLayersRequestPath: download,
	}
	if b.DryRun {
		return b.plan(ctx, req)
	}
	resp, err := b.call(ctx, "push", req)
	if err != nil {
		return "", err
	}
	return resp.(*push.Response).Digest, nil
}

func (b *build) base(ctx context.Context) error {
	_, err := b.call(ctx, "resolve-base", &resolvebase.Request{Reference: b.Base, OutputRegistry: b.name.Registry})
	if err != nil {
		return err
	}
	_, err = b.call(ctx, "select-base", &selectbase.Request{
		ResolveBasePath:   b.file("resolve-base"),
		RuntimeIdentifier: b.RuntimeIdentifier,
		ImageFormat:       b.Format,
		OutputRegistry:    b.name.Registry,
	})
	return err
}

func (b *build) layers(ctx context.Context) error {
	_, err := b.call(ctx, "scan", &scan.Request{FolderPath: b.Folder, Items: b.app.origins()})
	if err != nil {
		return err
	}
	_, err = b.call(ctx, "create-layers", &createlayers.Request{
		SelectBasePath:   b.file("select-base"),
		FileListPath:     b.file("scan"),
		WorkingDirectory: b.WorkingDirectory,
		Layers:           b.Layers,
		SourceDateEpoch:  b.SourceDateEpoch,
		User:             b.User,
	})
	return err
}

func (b *build) config(ctx context.Context) error {
	req := &computeconfig.Request{
		SelectBasePath:        b.file("select-base"),
		Labels:                []tasks.NameValue{{Name: "org.opencontainers.image.base.name", Value: b.Base}},
		UserLabels:            b.labels,
		GenerateLabels:        true,
		GenerateDigestLabel:   true,
		GenerateCreatedLabels: true,
		Environment:           b.environment,
		Ports:                 b.ports,
		User:                  b.User,
		WorkingDirectory:      b.WorkingDirectory,
		Entrypoint:            b.Entrypoint,
		SourceDateEpoch:       b.SourceDateEpoch,
	}
	if len(b.Entrypoint) == 0 {
		req.AppCommand = b.app.command(b.WorkingDirectory)
	}
	_, err := b.call(ctx, "compute-config", req)
	return err
}

// download writes the request that gets the base's layers when the destination cannot mount them, and returns its file. push runs it
// once it knows that the destination does not have the image. A dry run moves no bytes.
func (b *build) download() (file string, err error) {
	base, _, err := tasks.ReadBase(b.file("select-base"))
	if err != nil || b.DryRun || registry.NewName(base.Registry, base.Repository).SameRegistry(b.name) {
		return "", err
	}
	data, err := json.Marshal(&downloadlayers.Request{
		RequestHeader:  tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: "download-layers"},
		SelectBasePath: b.file("select-base"),
		Registry:       b.name.Registry,
		Repository:     b.name.Repository,
	})
	file = b.file("download-layers.request")
	if err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		return "", diag.Wrap(diag.ResponseUnwritable, err, "a request cannot be written", "check TMPDIR and the free space")
	}
	return file, nil
}

// hostRID is the runtime identifier of a Linux container on this machine.
func hostRID() string {
	arch := map[string]string{"amd64": "x64", "386": "x86"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return "linux-" + arch
}
