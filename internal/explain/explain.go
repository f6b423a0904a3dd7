// Package explain tells of the last publish of a project, stage by stage: whether it ran or was skipped, because of what, and
// compared with what.
//
// It reads what the publish left in its folder (obj/…/gantry/RID): the trace, with one line a stage; the stamps, which hold the very
// text that a stage read, and what they were before; the report of the push. It asks no registry and changes nothing.
//
// Values of environment variables, labels and arguments may be secrets: they are shown as the beginning of their SHA-256 alone.
package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
)

// SchemaVersion is that of the report.
const SchemaVersion = 1

// Report explains one publish.
type Report struct {
	SchemaVersion int `json:"schemaVersion"`
	// Folders are one for each image, then that of the index where there are several.
	Folders []Folder `json:"folders"`
}

// Folder explains the stages whose documents lie in one folder.
type Folder struct {
	// Path is the folder; RuntimeIdentifier is its name: a RID, "index" or "check".
	Path              string `json:"path"`
	RuntimeIdentifier string `json:"runtimeIdentifier"`
	// Error is the error line of a publish that failed; its stages are not known then.
	Error  string  `json:"error,omitempty"`
	Stages []Stage `json:"stages"`
}

// State says what happened to a stage.
type State string

// States of a stage.
const (
	Ran     State = "ran"
	Skipped State = "skipped"
	LeftOut State = "left out" // there was nothing to do for it
)

// Stage explains one stage. Because is a sentence; ComparedWith the file that holds what the inputs were compared with, relative to
// the folder, empty for stages that compare nothing. Differences are those of the inputs, most telling first.
type Stage struct {
	Name         string       `json:"name"`
	State        State        `json:"state"`
	Because      string       `json:"because"`
	ComparedWith string       `json:"comparedWith,omitempty"`
	Differences  []Difference `json:"differences,omitempty"`
}

// Publish explains the last publish of dir: a project's folder, or one that a publish left its documents in. Fails with GANTRY1006
// when there is none.
func Publish(dir string) (*Report, error) {
	found, err := find(dir)
	if err != nil {
		return nil, err
	}
	report := &Report{SchemaVersion: SchemaVersion}
	for _, path := range platforms(found) {
		report.Folders = append(report.Folders, explainFolder(path))
	}
	report.Folders = append(report.Folders, explainFolder(found))
	return report, nil
}

// platforms are the folders of the images of an index; none for other folders.
func platforms(folder string) []string {
	var req struct{ PushPaths, PlatformRequestPaths []string }
	name := "push-index.request.json"
	if _, saved := readStates(folder)["save"]; saved { // there may be one of a publish to a registry before
		name = "save.request.json"
	}
	if !readJSON(filepath.Join(folder, name), &req) {
		return nil
	}
	var out []string
	for _, p := range append(req.PushPaths, req.PlatformRequestPaths...) {
		p = filepath.FromSlash(unescape(p))
		if !filepath.IsAbs(p) {
			p = filepath.Join(folder, p)
		}
		out = append(out, filepath.Dir(p))
	}
	return out
}

func explainFolder(path string) Folder {
	f := Folder{Path: path, RuntimeIdentifier: filepath.Base(path), Stages: []Stage{}}
	states := readStates(path)
	if states == nil {
		f.Error = "its trace cannot be read"
		if line, err := os.ReadFile(filepath.Join(path, errorName)); err == nil {
			f.Error = strings.TrimSpace(string(line))
		}
		return f
	}
	e := explainer{dir: path, states: states}
	f.Stages = e.stages()
	return f
}

// readStates reads the trace of a folder; nil when it cannot be read.
func readStates(folder string) map[string]State {
	trace, err := os.ReadFile(filepath.Join(folder, traceName))
	if err != nil {
		return nil
	}
	states := map[string]State{}
	for line := range strings.Lines(string(trace)) {
		if name, state, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			states[name] = State(state)
		}
	}
	return states
}

// explainer works on one folder.
type explainer struct {
	dir    string
	states map[string]State
}

// stages are in the order in which they run.
func (e *explainer) stages() []Stage {
	var out []Stage
	if s, ok := e.check(); ok {
		out = append(out, s)
	}
	if _, ok := e.states["push-index"]; ok {
		return append(out, e.push("push-index"))
	}
	_, pushed := e.states["push"]
	_, saved := e.states["save"]
	if saved && e.states["create-layers"] == "" { // the folder of an index
		return append(out, e.save())
	}
	if !pushed && !saved {
		return out
	}
	base := e.stamped("select-base")
	layers := e.stamped("create-layers")
	out = append(out, e.resolveBase(base), base, e.scan(layers))
	if _, ok := e.states["resolve-layers"]; ok {
		out = append(out, looked("resolve-layers", "the layers of ContainerLayer items are looked at in every publish", "they are as before", extraName, layers))
	}
	out = append(out, e.stamped("compute-config"), layers)
	if saved {
		return append(out, e.save())
	}
	return append(out, e.downloadLayers(), e.push("push"))
}

// check explains the question for a cache key, whose folder lies beside those of the images.
func (e *explainer) check() (Stage, bool) {
	folder := e.dir
	if _, here := e.states["check"]; !here {
		if _, asked := e.states["asked"]; !asked {
			return Stage{}, false
		}
		folder = filepath.Join(filepath.Dir(e.dir), "check")
	}
	var answer struct {
		Hit                bool
		Reason, Tag        string
		Digest, Repository string
	}
	if !readJSON(filepath.Join(folder, "check.json"), &answer) {
		return Stage{Name: "check", State: Ran, Because: "it always runs; its answer cannot be read"}, true
	}
	text := fmt.Sprintf("the tag of the cache key, %s, is no hit: %s", answer.Tag, answer.Reason)
	if answer.Hit {
		text = fmt.Sprintf("the image %s is there under the tag of the cache key, %s: no other stage had to run", answer.Digest, answer.Tag)
	}
	return Stage{Name: "check", State: Ran, Because: text}, true
}

// resolveBase always asks; what it found is compared by select-base.
func (e *explainer) resolveBase(selected Stage) Stage {
	s := Stage{Name: "resolve-base", State: Ran, Because: "the base is asked for in every build"}
	var doc struct{ Digest string }
	for _, d := range selected.Differences {
		if d.Input == resolveBaseName {
			s.Differences = append(s.Differences, d)
		}
	}
	switch {
	case len(s.Differences) > 0:
		s.Because += ": " + headline(s.Differences)
	case selected.Because == noEarlier:
	case readJSON(filepath.Join(e.dir, resolveBaseName), &doc) && doc.Digest != "":
		s.Because += ": its digest is " + doc.Digest + ", as before"
	}
	return s
}

func (e *explainer) scan(layers Stage) Stage {
	return looked("scan", "the publish folder is looked at in every publish", "the file list is as before", scanName, layers)
}

// looked explains a stage that always runs, and whose answer is compared by create-layers.
func looked(name, because, same, answer string, layers Stage) Stage {
	s := Stage{Name: name, State: Ran, Because: because}
	for _, d := range layers.Differences {
		if d.Input == answer {
			s.Differences = append(s.Differences, d)
		}
	}
	switch {
	case len(s.Differences) > 0:
		s.ComparedWith = layers.ComparedWith
		s.Because += ": " + headline(s.Differences)
	case layers.Because != noEarlier:
		s.Because += ": " + same
	}
	return s
}

func (e *explainer) downloadLayers() Stage {
	s := Stage{Name: "download-layers", State: Ran, Because: "the base is in another registry, and the destination may lack its layers"}
	if e.states[s.Name] == Ran {
		return s
	}
	s.State = LeftOut
	var req struct{ DownloadLayersRequestPath string }
	if readJSON(filepath.Join(e.dir, "push.request.json"), &req) && req.DownloadLayersRequestPath != "" {
		s.Because = "push runs it when the destination turns out to lack the image"
		return s
	}
	s.Because = "the base is in the destination's registry, where its layers are mounted"
	return s
}

// push explains push and push-index from the report.
func (e *explainer) push(name string) Stage {
	s := Stage{Name: name, State: Ran, Because: "the destination is asked in every publish"}
	var r outcome.Result
	if !readJSON(filepath.Join(e.dir, name+".report.json"), &r) {
		return s
	}
	switch {
	case r.Deferred:
		s.State = Skipped
		s.Because = "the image is found through the index, whose push decides"
		if r.Reason != "" {
			s.Because = r.Reason
		}
		return s
	case !r.Pushed:
		s.State = Skipped
	}
	var texts []string
	for _, one := range r.Each() {
		texts = append(texts, destinationText(one))
		if one.Pushed {
			s.State = Ran
		}
	}
	s.Because = strings.Join(texts, "; and ")
	if r.Key != nil && r.Key.State == outcome.NotWritten {
		s.Because += "; no tag of a cache key was written: " + r.Key.Reason
	}
	return s
}

// save explains the stage of destinations that are no registry, from its report.
func (e *explainer) save() Stage {
	s := Stage{Name: "save", State: Skipped, Because: "the image goes to its destination with the index"}
	var did outcome.Saved
	if readJSON(filepath.Join(e.dir, "save.report.json"), &did) {
		s.Because = "the destination is looked at in every publish: " + did.Line()
		if did.Written {
			s.State = Ran
		}
		for _, one := range did.AlsoPushed {
			s.Because += "; and " + destinationText(one)
			if one.Pushed {
				s.State = Ran
			}
		}
	}
	return s
}

// destinationText tells of one destination.
func destinationText(r outcome.Result) string {
	text := fmt.Sprintf("%s (%s in %s)", r.Reason, r.Digest, r.Reference)
	if r.Error != nil {
		return text + ": " + string(r.Error.Code) + ": " + r.Error.Message
	}
	if r.Pushed {
		text += ": " + r.Blobs.String()
	}
	if tags := tagsText(r.Tags); tags != "" {
		text += "; tags: " + tags
	}
	return text
}

// Outcome is what the push of a folder of a publish reported, that of the index where there is one; nothing was pushed when there is none.
func Outcome(folder string) (r outcome.Result) {
	for _, name := range []string{"push-index", "push"} {
		if readJSON(filepath.Join(folder, name+".report.json"), &r) {
			break
		}
	}
	return r
}

func tagsText(tags []outcome.Tag) string {
	var parts []string
	for _, t := range tags {
		text := t.Tag + " " + string(t.State)
		if t.State == outcome.Moved && t.Was != "" {
			text += " from " + string(t.Was)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// readJSON reads what it can: a document that is missing or damaged explains nothing, and is no reason to fail.
func readJSON(path string, v any) bool {
	data, err := os.ReadFile(path)
	return err == nil && json.Unmarshal(data, v) == nil
}

// noPublish is the error when there is nothing to explain.
func noPublish(dir string, err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diag.Wrap(diag.RequestUnreadable, err, dir+" cannot be read", "name the folder of a project")
	}
	return diag.New(diag.RequestUnreadable, "there is no publish to explain in "+dir,
		"name the folder of a project that was published with Gantry.Containers, or its obj/…/gantry/RID folder")
}
