package msbuild

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/gantry-build/gantry/internal/testenv"
)

// facts are what can be said about a publish: name and value, to be compared by name.
type facts map[string]string

// landing reads what a publish left in a repository.
type landing struct {
	t          testing.TB
	registry   *testenv.Registry
	repository string
	// bases are the digests of the bases' layers, and their created times.
	bases *differentialBaseSet
	since time.Time
	facts facts
	// roles of the digests: image, index, or image of a platform
	roles map[string]string
}

type ociDescriptor struct {
	MediaType string          `json:"mediaType"`
	Digest    string          `json:"digest"`
	Size      int64           `json:"size"`
	Platform  json.RawMessage `json:"platform"`
	URLs      []string        `json:"urls"`
}

// read fills facts with everything in the repository: tags, the index if there is one, images.
func (l *landing) read() facts {
	l.t.Helper()
	l.facts, l.roles = facts{}, map[string]string{}
	tags := l.registry.Tags(l.repository)
	// an index names the roles of the images, so it comes first
	for _, index := range []bool{true, false} {
		for _, tag := range tags {
			mediaType, digest, body := l.registry.Manifest(l.repository, tag)
			if isIndex(mediaType) != index {
				continue
			}
			if _, known := l.roles[digest]; !known && index {
				l.roles[digest] = "index"
				l.index(mediaType, body)
			} else if !known {
				l.roles[digest] = "image"
				l.image("", mediaType, body)
			}
			l.facts["tag "+clockTag.ReplaceAllString(tag, "TIME")] = l.roles[digest]
		}
	}
	return l.facts
}

var (
	// clockTag is what AutoGenerateImageTag makes.
	clockTag = regexp.MustCompile(`^20\d{12}`)
	// hour is what is left of a time whose first colon ends it.
	hour = regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d$`)
	// lastModified is a header in a list of static web files.
	lastModified = regexp.MustCompile(`("Name":"Last-Modified","Value":)"[^"]*"`)
)

func isIndex(mediaType string) bool {
	return strings.Contains(mediaType, "index") || strings.Contains(mediaType, "manifest.list")
}

func (l *landing) index(mediaType string, body []byte) {
	var doc struct {
		MediaType     string            `json:"mediaType"`
		SchemaVersion int               `json:"schemaVersion"`
		Manifests     []ociDescriptor   `json:"manifests"`
		Annotations   map[string]string `json:"annotations"`
	}
	l.decode(body, &doc)
	l.facts["index media type"] = mediaType
	l.facts["index says its media type"] = fmt.Sprint(doc.MediaType == mediaType, doc.SchemaVersion)
	for name, value := range doc.Annotations {
		l.facts["index annotation "+name] = value
	}
	var order []string
	for _, m := range doc.Manifests {
		var p struct {
			OS           string `json:"os"`
			Architecture string `json:"architecture"`
		}
		l.decode(m.Platform, &p)
		platform := p.OS + "/" + p.Architecture
		childType, _, child := l.registry.Manifest(l.repository, m.Digest)
		l.facts["index entry "+platform] = fmt.Sprint(m.MediaType, " size right: ", int64(len(child)) == m.Size)
		l.facts["index platform "+platform] = compactJSON(m.Platform)
		order = append(order, platform)
		l.roles[m.Digest] = "image " + platform
		l.image(platform+": ", childType, child)
	}
	l.facts["index order"] = strings.Join(order, " ")
}

func (l *landing) image(prefix, mediaType string, body []byte) {
	var doc struct {
		MediaType   string            `json:"mediaType"`
		Config      ociDescriptor     `json:"config"`
		Layers      []ociDescriptor   `json:"layers"`
		Annotations map[string]string `json:"annotations"`
	}
	l.decode(body, &doc)
	l.facts[prefix+"manifest media type"] = mediaType
	l.facts[prefix+"config media type"] = doc.Config.MediaType
	if doc.MediaType != mediaType {
		l.facts[prefix+"manifest says its media type"] = doc.MediaType
	}
	for name, value := range doc.Annotations {
		l.facts[prefix+"annotation "+name] = value
	}
	var base, app []ociDescriptor
	for _, layer := range doc.Layers {
		if l.bases.layers[layer.Digest] {
			base = append(base, layer)
		} else {
			app = append(app, layer)
		}
	}
	for i, layer := range base {
		l.facts[fmt.Sprintf("%sbase layer %d", prefix, i+1)] = fmt.Sprint(layer.MediaType, " ", layer.Digest, " ", strings.Join(layer.URLs, " "))
	}
	l.config(prefix, l.registry.Blob(l.repository, doc.Config.Digest), len(base), len(app))
	l.files(prefix, app)
}

// config turns the configuration into facts, unknown members too.
func (l *landing) config(prefix string, body []byte, base, app int) {
	var doc map[string]json.RawMessage
	l.decode(body, &doc)
	for name, value := range doc {
		switch name {
		case "config":
			l.runConfig(prefix, value)
		case "created":
			var text string
			l.decode(value, &text)
			l.facts[prefix+"created"] = l.clock(text)
		case "history":
			l.history(prefix, value, base, app)
		case "rootfs":
			var rootfs struct {
				DiffIDs []string `json:"diff_ids"`
			}
			l.decode(value, &rootfs)
			l.facts[prefix+"diff IDs and layers"] = fmt.Sprint("equally many: ", len(rootfs.DiffIDs) == base+app)
		default:
			l.facts[prefix+"document "+name] = compactJSON(value)
		}
	}
}

func (l *landing) runConfig(prefix string, body []byte) {
	var doc map[string]json.RawMessage
	l.decode(body, &doc)
	for name, value := range doc {
		switch name {
		case "Env":
			var list, order []string
			l.decode(value, &list)
			for _, v := range list {
				key, text, _ := strings.Cut(v, "=")
				l.facts[prefix+"env "+key] = text
				order = append(order, key)
			}
			l.facts[prefix+"env order"] = strings.Join(order, " ")
		case "Labels":
			var labels map[string]string
			l.decode(value, &labels)
			for key, text := range labels {
				l.facts[prefix+"label "+key] = l.clock(text)
			}
		case "ExposedPorts", "Volumes":
			var set map[string]json.RawMessage
			l.decode(value, &set)
			for key := range set {
				l.facts[prefix+name+" "+key] = "yes"
			}
		default:
			l.facts[prefix+name] = compactJSON(value)
		}
	}
}

// clock hides times that differ from run to run.
func (l *landing) clock(text string) string {
	at, err := time.Parse(time.RFC3339, text)
	switch {
	case hour.MatchString(text):
		return "now, cut off"
	case err != nil:
		return text
	case l.bases.created[at.UTC().Format(time.RFC3339Nano)]:
		return "as the base"
	case at.After(l.since):
		return "now"
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// history compares the base's part; the app's entries are one fact.
func (l *landing) history(prefix string, body []byte, base, app int) {
	var entries []map[string]any
	l.decode(body, &entries)
	layers := 0
	for i, e := range entries {
		if e["empty_layer"] != true {
			layers++
		}
		if text, ok := e["created"].(string); ok {
			e["created"] = l.clock(text)
		}
		text, err := json.Marshal(e)
		if err != nil {
			l.t.Fatal(err)
		}
		if layers > base {
			l.facts[prefix+"history of the app"] += string(text)
		} else {
			l.facts[fmt.Sprintf("%shistory of the base %d", prefix, i+1)] = string(text)
		}
	}
	l.facts[prefix+"history and layers"] = fmt.Sprint("equally many: ", layers == base+app)
}

// files flattens the layers of the app.
func (l *landing) files(prefix string, layers []ociDescriptor) {
	mediaTypes := map[string]bool{}
	times := map[string]bool{}
	for _, layer := range layers {
		mediaTypes[layer.MediaType] = true
		archive := tar.NewReader(l.decompress(layer))
		for {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				l.t.Fatalf("%s: layer %s: %v", l.repository, layer.Digest, err)
			}
			if h.ModTime.After(l.since) {
				times["now"] = true
			} else {
				times["fixed"] = true
			}
			name := strings.TrimSuffix(h.Name, "/")
			if strings.Contains(name, "//") {
				l.facts[prefix+"file paths"] = "with //"
			}
			l.facts[prefix+"file "+path.Clean(name)] = l.entry(h, archive)
		}
	}
	l.facts[prefix+"app layers' media type"] = strings.Join(slices.Sorted(maps.Keys(mediaTypes)), " ")
	l.facts[prefix+"file times"] = strings.Join(slices.Sorted(maps.Keys(times)), " ")
	l.facts[prefix+"app layers"] = fmt.Sprint(len(layers))
}

// entry is type, mode, owner, content and the records that mean something.
func (l *landing) entry(h *tar.Header, content io.Reader) string {
	body, err := io.ReadAll(content)
	if err != nil {
		l.t.Fatal(err)
	}
	if strings.HasSuffix(h.Name, ".staticwebassets.endpoints.json") {
		l.facts["dates in "+path.Base(h.Name)] = fmt.Sprint(lastModified.FindAllString(string(body), -1))
		body = lastModified.ReplaceAll(body, []byte(`$1"TIME"`))
	}
	hash := sha256.Sum256(body)
	text := fmt.Sprintf("%04o %d:%d %q %q", h.Mode, h.Uid, h.Gid, h.Uname, h.Gname)
	for _, name := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		// a path or time that has a record is in the header too
		if !slices.Contains([]string{"path", "size", "mtime", "ctime", "atime", "uid", "gid"}, name) {
			text += fmt.Sprintf(" %s=%s", name, h.PAXRecords[name])
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return "folder " + text
	case tar.TypeReg:
		return fmt.Sprintf("file %s %d bytes %x", text, h.Size, hash[:8])
	}
	return fmt.Sprintf("type %c to %q %s", h.Typeflag, h.Linkname, text)
}

func (l *landing) decompress(layer ociDescriptor) io.Reader {
	blob := bytes.NewReader(l.registry.Blob(l.repository, layer.Digest))
	if strings.HasSuffix(layer.MediaType, "zstd") {
		r, err := zstd.NewReader(blob)
		if err != nil {
			l.t.Fatal(err)
		}
		l.t.Cleanup(r.Close)
		return r
	}
	r, err := gzip.NewReader(blob)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *landing) decode(body []byte, v any) {
	l.t.Helper()
	if err := json.Unmarshal(body, v); err != nil {
		l.t.Fatalf("%s: %v in %s", l.repository, err, body)
	}
}

// compactJSON writes a value in one form, whatever its producer's.
func compactJSON(body []byte) string {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return string(body)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return string(body)
	}
	return strings.TrimSpace(out.String())
}
