// Package publish runs the stages in one process for any published folder: what gantry publish does. It has no part of an
// image's making itself; it finds out what a person did not say (which app lies in the folder, which base it needs, where its
// files come from) and hands each stage a request.
//
// The stages hand each other the same documents as under MSBuild, in a temporary folder that is removed at the end, and so the
// same folder gives the same layers either way.
package publish

import (
	"context"
	"crypto/rand"
	"encoding/json"
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
	"github.com/gantry-build/gantry/tasks/recall"
	"github.com/gantry-build/gantry/tasks/resolvebase"
	"github.com/gantry-build/gantry/tasks/resolvelayers"
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
	// AlsoPushTo are further destinations, registry/repository each.
	AlsoPushTo []string
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
	// Layers is auto or single. OwnLayers are NAME=GLOB[;GLOB], lowest first.
	Layers    string
	OwnLayers []string
	// LayerItems are INCLUDE[,KEY=VALUE]..., what ContainerLayer items are for MSBuild. Strict makes an error of two layers that put
	// different content at one path.
	LayerItems []string
	Strict     bool
	// Compression is gzip, zstd, none or empty for gzip; CompressionLevel is in digits, or empty.
	Compression, CompressionLevel string
	// CacheFrom are references of images whose layers may be taken; CacheTag is moved by every push. MakeLayers takes no layer by what
	// an image says of it.
	CacheFrom  []string
	CacheTag   string
	MakeLayers bool
	// Pull is always, missing or never; empty is always.
	Pull string
	// SourceDateEpoch is in digits, or empty.
	SourceDateEpoch string
	// OwnOutputs are files that are written beside the image, such as the report: none of them goes into it. Empty ones do not count.
	OwnOutputs []string
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
	env.BuildID = rand.Text() // a build of its own, whatever started it
	return (&build{env: env, dir: dir, settings: s}).run(ctx)
}

// settings are options of which nothing is left to find out.
type settings struct {
	Options
	app                 *app // nil when the folder has none that is known
	name                registry.Name
	environment, labels []tasks.NameValue
	ports               []tasks.Port
	ownLayers           []createlayers.OwnLayer
	layerItems          []resolvelayers.Item
	compressionLevel    *int
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
	var err error
	if s.name, err = registry.ParseDestination(s.To); err != nil {
		return optionError("--to", err)
	}
	for _, to := range s.AlsoPushTo { // before layers are sent as they are made
		if _, err := registry.ParseDestination(to); err != nil {
			return optionError("--also-push-to", err)
		}
	}
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

// optionError says which option a name is from.
func optionError(option string, err error) error {
	if e, ok := err.(*diag.Error); ok && e.Code == diag.InvalidValue {
		return badOption(strings.Replace(e.What, "the destination", option, 1), e.Hint+"; tags are named with --tag")
	}
	return err
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
	if err := b.recall(); err != nil {
		return "", err
	}
	stream, end := b.stream(ctx)
	defer end()
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
		PushSettings:      tasks.PushSettings{SkipPushIfPresent: &ask, ForcePush: b.ForcePush, Verify: b.Verify, CacheTag: b.CacheTag, AlsoPushTo: b.AlsoPushTo},
		PullPolicy:        b.Pull,
		RecallPath:        b.file("recall"),

		CreateLayersRequestPath:   b.file("create-layers.request"),
		DownloadLayersRequestPath: download,
	}
	if b.DryRun {
		return b.plan(ctx, req)
	}
	if stream != nil {
		b.env.LayerMade, b.env.PushDeps = nil, stream.handOver // what push has made again, it sends itself
	}
	resp, err := b.call(ctx, "push", req)
	if err != nil {
		return "", err
	}
	return resp.(*push.Response).Digest, nil
}

// stream begins to send layers as they are finished, unless nothing is to be sent, or everything anew. end is to be called whatever
// happens.
func (b *build) stream(ctx context.Context) (s *stream, end func()) {
	if b.DryRun || b.ForcePush {
		return nil, func() {}
	}
	s = b.newStream(ctx)
	b.env.LayerMade = s.made
	return s, s.end
}

func (b *build) base(ctx context.Context) error {
	_, err := b.call(ctx, "resolve-base", &resolvebase.Request{Reference: b.Base, OutputRegistry: b.name.Registry, PullPolicy: b.Pull})
	if err != nil {
		return err
	}
	_, err = b.call(ctx, "select-base", &selectbase.Request{
		ResolveBasePath:   b.file("resolve-base"),
		RuntimeIdentifier: b.RuntimeIdentifier,
		ImageFormat:       b.Format,
		OutputRegistry:    b.name.Registry,
		PullPolicy:        b.Pull,
		RecallRequestPath: b.recallRequest(),
	})
	return err
}

func (b *build) layers(ctx context.Context) error {
	record := cas.DigestOf([]byte(b.Folder)).Hex() + ".json"
	_, err := b.call(ctx, "scan", &scan.Request{
		FolderPath: b.Folder, Items: b.app.origins(), RecordPath: filepath.Join(b.env.Store.Dir(), "published", record),
		OwnOutputPaths: b.ownOutputs(),
	})
	if err != nil {
		return err
	}
	extra, err := b.items(ctx)
	if err != nil {
		return err
	}
	trust := !b.MakeLayers
	req := &createlayers.Request{
		RequestHeader:     tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: "create-layers"},
		SelectBasePath:    b.file("select-base"),
		FileListPath:      b.file("scan"),
		WorkingDirectory:  b.WorkingDirectory,
		Layers:            b.Layers,
		OwnLayers:         b.ownLayers,
		ExtraLayersPath:   extra,
		Strict:            b.Strict,
		Compression:       b.Compression,
		CompressionLevel:  b.compressionLevel,
		SourceDateEpoch:   b.SourceDateEpoch,
		User:              b.User,
		TrustLayerKeys:    &trust,
		RecallRequestPath: b.recallRequest(),
	}
	if err := b.write("create-layers.request", req); err != nil { // push has layers made again by it
		return err
	}
	_, err = b.call(ctx, "create-layers", req)
	return err
}

// ownOutputs are absolute.
func (b *build) ownOutputs() (paths []string) {
	for _, p := range b.OwnOutputs {
		if p != "" && !filepath.IsAbs(p) {
			p = filepath.Join(b.env.Dir, p)
		}
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
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
		PullPolicy:            b.Pull,
		OutputRegistry:        b.name.Registry,
		RecallRequestPath:     b.recallRequest(),
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
	return b.file("download-layers.request"), b.write("download-layers.request", &downloadlayers.Request{
		RequestHeader:  tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: "download-layers"},
		SelectBasePath: b.file("select-base"),
		Registry:       b.name.Registry,
		Repository:     b.name.Repository,
		PullPolicy:     b.Pull,
	})
}

// recall writes the request by which stages ask what an earlier image has. With everything sent anew there is none.
func (b *build) recall() error {
	if b.ForcePush {
		return nil
	}
	return b.write("recall.request", &recall.Request{
		RequestHeader:     tasks.RequestHeader{SchemaVersion: tasks.SchemaVersion, Stage: recall.Stage},
		Registry:          b.name.Registry,
		Repository:        b.name.Repository,
		Tags:              b.Tags,
		CacheFrom:         b.CacheFrom,
		CacheTag:          b.CacheTag,
		RuntimeIdentifier: b.RuntimeIdentifier,
		OutputRegistry:    b.name.Registry,
	})
}

func (b *build) recallRequest() string {
	if b.ForcePush {
		return ""
	}
	return b.file("recall.request")
}

// write leaves a request for another stage to run.
func (b *build) write(name string, req any) error {
	data, err := json.Marshal(req)
	if err == nil {
		err = os.WriteFile(b.file(name), data, 0o600)
	}
	if err != nil {
		return diag.Wrap(diag.ResponseUnwritable, err, "a request cannot be written", "check TMPDIR and the free space")
	}
	return nil
}

// hostRID is the runtime identifier of a Linux container on this machine.
func hostRID() string {
	arch := map[string]string{"amd64": "x64", "386": "x86"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return "linux-" + arch
}
