package computeconfig

import (
	"context"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/tasks"
)

// algorithm is the version of what this stage makes of its input. Raise it with every change, here or in package image, after which the
// same input gives another configuration: images of earlier versions must no longer be taken for what this one would make.
// TestAlgorithm fails until it is done.
const algorithm = 1

// input is what decides the configuration, the annotations and the time.
type input struct {
	Algorithm int     `json:"algorithm"`
	Request   Request `json:"request"`
	// The base's configuration is named by its digest; the manifest's goes into a label, Created into the image's time. The
	// annotations have the base's name. That it is the digest of the platform's image and not of the index keeps an image as it is when
	// only other platforms of the base moved.
	Manifest    cas.Digest        `json:"manifest"`
	Config      cas.Digest        `json:"config"`
	Created     string            `json:"created"`
	Platform    tasks.Platform    `json:"platform"`
	Format      string            `json:"format"`
	Annotations map[string]string `json:"annotations"`
}

// inputDigest is the digest of everything that the stage reads but for where it lies and how it is fetched.
func inputDigest(req *Request, base *tasks.Base) cas.Digest {
	in := input{
		Algorithm: algorithm, Request: *req,
		Manifest: base.Manifest.Digest, Config: base.Config.Digest, Created: base.Created, Platform: base.Platform, Format: base.Format,
		Annotations: annotations(req, base),
	}
	r := &in.Request
	r.RequestHeader = tasks.RequestHeader{}
	r.SelectBasePath, r.OutputRegistry, r.RecallRequestPath, r.PullPolicy = "", "", "", ""
	for _, list := range []*[]string{&r.Entrypoint, &r.EntrypointArgs, &r.AppCommand, &r.AppCommandArgs, &r.DefaultArgs} {
		*list = filled(*list)
	}
	r.Labels, r.UserLabels, r.Environment, r.Ports = filled(r.Labels), filled(r.UserLabels), filled(r.Environment), filled(r.Ports)
	data, err := image.Encode(in)
	if err != nil {
		panic(err) // strings, numbers and lists of them
	}
	return cas.DigestOf(data)
}

// filled makes a list that a request leaves out the same as an empty one.
func filled[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// recalled is the configuration of an earlier image that was made of the same input, when the store does not have the base's; nil when
// there is none. The same input led to no error then, so that there is none now; what was only warned of when it was made, that the
// base's entrypoint is replaced, is not said again.
func recalled(ctx context.Context, d Deps, base *tasks.Base, input cas.Digest) (tasks.ImageConfig, error) {
	if d.Recall == nil || pull.Has(d.Store, base.Config) {
		return nil, nil
	}
	found, err := d.Recall(ctx)
	if err != nil || found == nil || found.Reference == "" {
		return nil, err
	}
	if found.ConfigInput != input {
		d.Log.Info("the configuration is computed: that of the earlier image is of another input", "ref", found.Reference)
		return nil, nil
	}
	d.Log.Info("the configuration is that of an earlier image of the same input", "ref", found.Reference)
	return found.Config, nil
}
