package computeconfig

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
)

// Labels and annotations that Gantry writes (image-spec, annotations.md; the SDK writes the first three as labels).
const (
	labelCreated         = "org.opencontainers.image.created"
	labelArtifactCreated = "org.opencontainers.artifact.created"
	baseDigest           = "org.opencontainers.image.base.digest"
	baseName             = "org.opencontainers.image.base.name"
)

// Response holds the configuration.
type Response struct {
	tasks.ResponseHeader
	// Config is the image's configuration with the base's layers alone.
	Config tasks.ImageConfig `json:"config"`
	// Annotations are for the manifest; Docker's format has none.
	Annotations map[string]string `json:"annotations"`
	// Created is the image's creation time, RFC 3339.
	Created string `json:"created"`
	// InputDigest is the digest of everything that the stage read: the same digest, the same configuration.
	InputDigest cas.Digest `json:"inputDigest"`
}

// Deps are what the stage needs. Source returns the base's repository and is asked only when the base's configuration is no longer
// in the store, and an earlier image was not made of the same input: Recall says that, nil means that there is nobody to ask. Warn says
// a coded warning; nil says it to Log.
type Deps struct {
	Source func(registry.Name, registry.Mode) pull.Blobs
	Store  *cas.Store
	Log    *slog.Logger
	Warn   func(code diag.Code, text string)
	Recall func(context.Context) (*tasks.Recalled, error)
}

func (d Deps) warn(code diag.Code, text string) {
	if d.Warn != nil {
		d.Warn(code, text)
		return
	}
	d.Log.Warn(text, "code", string(code))
}

// Run computes the configuration. Errors are CONTAINER2016 and 2017 for ports, 2021 and 2024 to 2028 for the entrypoint, GANTRY2003 for the
// base's configuration, GANTRY2006 when the policy does not let it be fetched, and those of the registry.
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	base, in, err := tasks.ReadBase(req.SelectBasePath)
	if err != nil {
		return nil, err
	}
	created, _, err := createdAt(req.SourceDateEpoch, base.Created)
	if err != nil {
		return nil, err
	}
	resp := &Response{
		ResponseHeader: tasks.ResponseHeader{Inputs: []tasks.FileDigest{in}},
		Annotations:    annotations(req, base),
		Created:        created,
		InputDigest:    inputDigest(req, base),
	}
	if resp.Config, err = recalled(ctx, d, base, resp.InputDigest); resp.Config == nil && err == nil {
		resp.Config, err = compute(ctx, d, req, base)
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// compute makes the configuration from the base's.
func compute(ctx context.Context, d Deps, req *Request, base *tasks.Base) (tasks.ImageConfig, error) {
	from, err := source(d, req, base)
	if err != nil {
		return nil, err
	}
	body, err := pull.Small(ctx, d.Store, from, base.Config, image.MaxConfigBytes, d.Log)
	if err != nil {
		return nil, err
	}
	config, err := image.ParseConfig(body)
	if err != nil {
		return nil, err
	}
	ch, err := changes(d, req, base, config)
	if err != nil {
		return nil, err
	}
	return config.Derive(ch)
}

// source is the base's repository as far as the policy lets it be asked.
func source(d Deps, req *Request, base *tasks.Base) (pull.Blobs, error) {
	name := registry.Name{Registry: base.Registry, Repository: base.Repository}
	policy, err := pull.ParsePolicy(req.PullPolicy)
	if err != nil || policy == pull.Never {
		return pull.Offline{Name: name}, err
	}
	return d.Source(name, registry.PullMode(base.Registry, req.OutputRegistry)), nil
}

// changes are what the request asks for on top of the base.
func changes(d Deps, req *Request, base *tasks.Base, config *image.Config) (ch image.Changes, err error) {
	start, err := image.Execution{
		Entrypoint: req.Entrypoint, EntrypointArgs: req.EntrypointArgs, AppCommand: req.AppCommand,
		AppCommandArgs: req.AppCommandArgs, DefaultArgs: req.DefaultArgs, Instruction: req.AppCommandInstruction,
	}.Decide(config.Entrypoint)
	if start.BaseReplaced {
		d.warn(diag.BaseEntrypointReplaced, "the base image has an entrypoint that is replaced to start the application; "+
			"set ContainerAppCommandInstruction to Entrypoint if that is wanted, or to DefaultArgs to keep the base's")
	}
	if err != nil {
		return ch, err
	}
	env := config.Environment
	for _, v := range req.Environment {
		if !image.ValidEnvironmentName(v.Name) {
			d.warn(diag.InvalidEnvironmentName, "the environment variable "+v.Name+" is ignored: names have letters, digits and _ and do not begin with a digit")
			continue
		}
		env.Set(v.Name, v.Value)
	}
	ports := maps.Clone(config.Ports)
	for _, p := range req.Ports {
		if err := ports.Add(p.Number, p.Type); err != nil {
			return ch, err
		}
	}
	ports.Infer(env)
	created, epoch, err := createdAt(req.SourceDateEpoch, base.Created)
	if err != nil {
		return ch, err
	}
	return image.Changes{
		Start: start, Environment: env, Ports: ports,
		Labels:           labels(req, base, config.Labels, created, epoch),
		User:             user(req.User, env, config.User),
		WorkingDirectory: req.WorkingDirectory,
		Created:          created,
	}, nil
}

// createdAt is the epoch, else the base's creation time.
func createdAt(epoch, base string) (created string, fromEpoch bool, err error) {
	t, ok, err := image.ParseEpoch(epoch)
	switch {
	case err != nil:
		return "", false, err
	case ok:
		return t.Format(time.RFC3339), true, nil
	case base != "":
		return base, false, nil
	}
	return image.FallbackCreated, false, nil
}

// user is the explicit one, else APP_UID of the merged environment, else the base's. The SDK applies APP_UID to Windows images as well
// (measured), and writes an empty one, which makes the user root: an empty one counts as none here.
func user(explicit string, env *image.Environment, base string) string {
	if explicit != "" {
		return explicit
	}
	if uid, ok := env.Lookup("APP_UID"); ok && uid != "" {
		return uid
	}
	return base
}

// labels are the base's, over them those of the request, those that only this stage can know, and last the user's own.
func labels(req *Request, base *tasks.Base, inherited map[string]string, created string, epoch bool) map[string]string {
	out := maps.Clone(inherited)
	for _, l := range req.Labels {
		out[l.Name] = l.Value
	}
	if req.GenerateLabels && req.GenerateDigestLabel {
		out[baseDigest] = string(base.Manifest.Digest)
	}
	if req.GenerateLabels && req.GenerateCreatedLabels && epoch {
		out[labelCreated], out[labelArtifactCreated] = created, created
	}
	for _, l := range req.UserLabels {
		out[l.Name] = l.Value
	}
	return out
}

// annotations name the base in the manifest, where tools that look for newer bases read it (image-spec, annotations.md).
func annotations(req *Request, base *tasks.Base) map[string]string {
	if base.Format != tasks.FormatOCI {
		return map[string]string{}
	}
	name := req.BaseName
	if name == "" {
		name = base.Registry + "/" + base.Repository
		if ref, err := registry.ParseReference(base.Reference); err == nil {
			name = fullName(ref)
		}
	}
	return map[string]string{baseName: name, baseDigest: string(base.Manifest.Digest)}
}

// fullName is registry/repository:tag; a base that is named by digest alone keeps its digest.
func fullName(ref registry.Reference) string {
	if ref.Tag != "" {
		ref.Digest = ""
	}
	return ref.String()
}
