package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/registry"
)

// removeTime is how long the removal may take when the run was interrupted.
const removeTime = 20 * time.Second

// remove deletes what was written: tags, then manifests, artifact first, then blobs. What a registry still has afterwards is left.
func (v *visit) remove() {
	if v.ctx.Err() != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(v.ctx), removeTime)
		defer cancel()
		v.ctx = ctx
	}
	if len(v.tags)+len(v.manifests)+len(v.blobs) == 0 {
		return
	}
	ways := []struct {
		probe, path, means string
		refs               []string
	}{
		{"deleting a tag", "manifests/", "gantry registry prune deletes images by their digest here, where nothing else names them", v.tags},
		{"deleting a manifest", "manifests/", "gantry registry prune cannot free anything here", backwards(v.manifests)},
		{"deleting a blob", "blobs/", "only the registry's own clean-up frees what no image has any more", backwards(v.blobs)},
	}
	for _, w := range ways {
		var first *registry.Answer
		saw := ""
		for i, ref := range w.refs {
			answer, said := v.ask(registry.Ask{Method: http.MethodDelete, Path: w.path + ref, Header: accept()})
			if i == 0 {
				first, saw = answer, said
			}
		}
		switch {
		case len(w.refs) == 0:
		case is(first, http.StatusAccepted, http.StatusOK, http.StatusNoContent):
			v.add(w.probe, OK, v.words(saw), "")
		default:
			v.add(w.probe, No, v.words(saw), w.means)
		}
	}
	for _, w := range ways {
		for _, ref := range w.refs {
			if answer, _ := v.ask(registry.Ask{Method: http.MethodHead, Path: w.path + ref, Header: accept()}); is(answer, http.StatusOK) {
				v.report.Left = append(v.report.Left, fmt.Sprintf("%s%s", w.path, ref))
			}
		}
	}
}

// words is short with the digests of blobs too.
func (v *visit) words(saw string) string {
	saw = v.short(saw)
	for _, d := range v.blobs {
		saw = strings.ReplaceAll(saw, string(d), "DIGEST")
	}
	return saw
}

func backwards(digests []cas.Digest) []string {
	var out []string
	for i := len(digests) - 1; i >= 0; i-- {
		out = append(out, string(digests[i]))
	}
	return out
}
