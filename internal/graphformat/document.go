package graphformat

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"io"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/graph"
)

// Schema is the JSON schema of what the format json writes.
//
//go:embed plan.schema.json
var Schema []byte

// Document is a plan as JSON. Readers ignore fields that they do not know; a change that breaks them has another version.
type Document struct {
	// SchemaVersion is 1.
	SchemaVersion int `json:"schemaVersion" jsonschema:"enum=1"`
	// Stage is graph-plan.
	Stage string `json:"stage" jsonschema:"enum=graph-plan"`
	// Counts are those of the whole plan.
	Counts Counts `json:"counts"`
	// Images are all images of the plan, each after its parents.
	Images []Image `json:"images"`
}

// Counts are how many images there are.
type Counts struct {
	// Images is how many images there are.
	Images int `json:"images"`
	// Build is how many images are built.
	Build int `json:"build"`
	// Skip is how many images are not built.
	Skip int `json:"skip"`
	// Waves is how many times images are built beside each other, one time after the other.
	Waves int `json:"waves"`
}

// Image is an image of a plan.
type Image struct {
	// Name is unique in the plan.
	Name string `json:"name"`
	// Repository is that of the first tag, without one absent.
	Repository string `json:"repository,omitempty"`
	// Decision is build or skip.
	Decision string `json:"decision" jsonschema:"enum=build,enum=skip"`
	// Reasons say why: at least one.
	Reasons []graph.Reason `json:"reasons"`
	// Hash is the source hash; absent as long as a parent is still to be built, or where something is unknown.
	Hash cas.Digest `json:"hash,omitempty"`
	// Tag is registry/repository:src-HASH.
	Tag string `json:"tag,omitempty"`
	// Digest is what the tag answers: the image that is there.
	Digest cas.Digest `json:"digest,omitempty"`
	// Parents are the images of the plan that this one is made from.
	Parents []string `json:"parents"`
	// Bases are the references that it reads beside them.
	Bases []string `json:"bases"`
	// Job is how it is built; absent for one that is skipped.
	Job *Job `json:"job,omitempty"`
}

// writeJSON writes a Document, image by image: the text of thousands of jobs is never in memory as a whole.
func writeJSON(w io.Writer, p *plan) error {
	p.Brief = false
	doc := Document{SchemaVersion: 1, Stage: "graph-plan", Images: []Image{}}
	doc.Counts = Counts{Images: len(p.nodes), Build: p.build, Skip: len(p.nodes) - p.build, Waves: len(p.waves)}
	const end = "[]\n}\n" // of images, the last field, and of the document
	frame, err := indented(doc, "")
	if err != nil {
		return err
	}
	if len(p.nodes) == 0 {
		_, err = w.Write(frame)
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	out.Write(bytes.TrimSuffix(frame, []byte(end)))
	between := "[\n    "
	for i := range p.nodes {
		text, err := indented(p.image(i), "    ")
		if err != nil {
			return err
		}
		out.WriteString(between)
		out.Write(bytes.TrimSuffix(text, []byte("\n")))
		between = ",\n    "
	}
	out.WriteString("\n  ]\n}\n")
	return out.Flush() // which has the error of any write before
}

// indented encodes a value whose lines begin with a prefix, but for the first.
func indented(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent(prefix, "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// image is an image of the Document.
func (p *plan) image(i int) Image {
	n := &p.nodes[i]
	image := Image{
		Name: n.name, Repository: n.repository, Decision: string(n.step.Decision), Reasons: n.step.Reasons,
		Hash: n.step.Hash, Tag: n.step.Tag, Digest: n.step.Digest, Parents: []string{}, Bases: n.bases,
	}
	if image.Reasons == nil {
		image.Reasons = []graph.Reason{}
	}
	if image.Bases == nil {
		image.Bases = []string{}
	}
	for _, k := range n.parents {
		image.Parents = append(image.Parents, p.nodes[k].name)
	}
	if n.built() {
		job := p.job(i)
		image.Job = &job
	}
	return image
}
