package graphrun

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphformat"
	"github.com/gantry-build/gantry/internal/graphstate"
)

// Planned is what the plan that an image was built by said of it.
type Planned struct {
	// Hash is empty where the plan did not know it yet.
	Hash cas.Digest
	// Pins are what the builder was given, by the reference that the Dockerfile has.
	Pins map[string]string
}

// ReadPlanned finds an image in a plan that graphformat wrote as JSON. Of one that the plan does not have nothing is known.
func ReadPlanned(path, image string) (*Planned, error) {
	data, err := os.ReadFile(path)
	var doc graphformat.Document
	if err == nil {
		err = json.Unmarshal(data, &doc)
	}
	if err == nil && (doc.SchemaVersion != 1 || doc.Stage != "graph-plan") {
		err = fmt.Errorf("it is version %d of %q", doc.SchemaVersion, doc.Stage)
	}
	if err != nil {
		return nil, diag.Wrap(diag.BadUsage, err, "the plan "+path, "give what gantry graph plan --format json printed")
	}
	p := &Planned{Pins: map[string]string{}}
	for _, i := range doc.Images {
		if i.Name == image {
			p.Hash = i.Hash
			if i.Job != nil && i.Job.Pins != nil {
				p.Pins = i.Job.Pins
			}
		}
	}
	return p, nil
}

// Fill puts what was planned into a request: the hash of before the build in the place of that of now, which would be the hash of files that
// changed meanwhile, and what the builder was given in the place of the pins of now, which prove nothing of the build. A plan that did not know
// the hash is GANTRY6039.
func (w *Planned) Fill(q *graphstate.Request, i *graph.Image) error {
	switch {
	case q.Hash == "": // it cannot be known, which Stamp says
	case w.Hash == "":
		flags := "--target " + i.Spec.Name
		if slices.ContainsFunc(ancestors(i), func(a *graph.Image) bool { return len(a.Unknown) > 0 }) {
			flags = "--unknown-built " + flags // else they are built in every plan
		}
		return diag.New(diag.StampUnknown, "the plan that "+i.Spec.Name+" was built by does not have its source hash, so nothing says what it was built from",
			"make the plan when its parents are there and before it is built, with "+flags)
	default:
		q.Hash = w.Hash // where it is another one now, Stamp says so
	}
	for k := range q.Parents {
		q.Parents[k].Pin = w.Pins[q.Parents[k].Name]
	}
	for _, v := range i.Variants {
		for j := range v.Parents {
			name, err := parentName(&v.Parents[j])
			if err != nil {
				return err
			}
			pin := w.Pins[v.Parents[j].Reference] // which is target:NAME for a named context that is an image of the list
			for k := range q.Parents {
				if pin != "" && q.Parents[k].Name == name {
					q.Parents[k].Pin = pin
				}
			}
		}
	}
	return nil
}
