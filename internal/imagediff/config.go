package imagediff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gantry-build/gantry/internal/cas"
)

// Labels and annotations of the base (image-spec, annotations.md).
const (
	baseDigest = "org.opencontainers.image.base.digest"
	baseName   = "org.opencontainers.image.base.name"
	ociPrefix  = "org.opencontainers.image."
)

// harmless says whether a label's value may be shown: OCI's own and the .NET SDK's. An address may hold a password and is not.
func harmless(name, value string) bool {
	switch name {
	case "org.opencontainers.artifact.created", "org.opencontainers.artifact.description", "net.dot.runtime.majorminor", "net.dot.sdk.version":
	default:
		if !strings.HasPrefix(name, ociPrefix) {
			return false
		}
	}
	return !strings.Contains(value, "://") || !strings.Contains(value, "@")
}

// secret stands for a value that is not shown.
func secret(value string) string { return string(cas.DigestOf([]byte(value)))[:len("sha256:")+12] }

// maxShown bounds a value that is shown, in bytes.
const maxShown = 200

// shown makes foreign text fit for a terminal: quoted when it has anything but printable characters, and cut.
func shown(s string) string {
	cut := ""
	if len(s) > maxShown {
		s, cut = strings.ToValidUTF8(s[:maxShown], ""), "…"
	}
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return strconv.Quote(s) + cut
		}
	}
	return s + cut
}

// label is a label's value as it may be shown.
func label(name, value string, there bool) string {
	switch {
	case !there:
		return ""
	case harmless(name, value):
		return shown(value)
	}
	return secret(value)
}

// base compares what is recorded of the base: the annotation, else the label.
func (c *comparison) base() {
	x, y := c.a.recorded(baseDigest), c.b.recorded(baseDigest)
	if x == y {
		return
	}
	d := Difference{Part: PartBase, Kind: Changed, Name: baseDigest, A: shown(x), B: shown(y), weight: weightBase}
	switch n, m := c.a.recorded(baseName), c.b.recorded(baseName); {
	case x == "" || y == "":
		d.Text = "only one of the images has its base recorded: " + shown(x+y)
		d.weight = weightAnnotation
	case n != m:
		d.Text = fmt.Sprintf("the base is another: %s → %s (%s → %s)", shown(n), shown(m), d.A, d.B)
	default:
		d.Text = fmt.Sprintf("the base moved: %s → %s", d.A, d.B)
		d.Remedy = "pin the base by digest (registry/repository@sha256:…) to decide yourself when it moves"
	}
	c.r.add(d)
}

func (p *picture) recorded(name string) string {
	if v := p.manifest.Annotations[name]; v != "" {
		return v
	}
	return p.config.Labels[name]
}

// config compares the configurations member by member.
func (c *comparison) config() {
	for _, name := range members(c.a.top, c.b.top) {
		switch name {
		case "architecture", "os", "variant", "os.version", "os.features": // part of the platform
		case "rootfs": // the layers
		case "config":
		case "history":
			c.history()
		case "created":
			c.member("created", c.a.top[name], c.b.top[name], true, weightHistory,
				"set the same SOURCE_DATE_EPOCH, or none: then it is the base's")
		default:
			c.member(name, c.a.top[name], c.b.top[name], false, weightConfig, "")
		}
	}
	for _, name := range members(c.a.run, c.b.run) {
		x, y := c.a.run[name], c.b.run[name]
		switch name {
		case "Env":
			c.environment()
		case "Labels":
			c.labels()
		case "User", "WorkingDir", "StopSignal", "ExposedPorts", "Volumes", "Entrypoint", "Cmd":
			c.member(name, x, y, true, weightConfig, "")
		default:
			c.member(name, x, y, false, weightConfig, "")
		}
	}
}

// members returns the names of both, sorted.
func members[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// words are what people call members.
var words = map[string]string{
	"User": "user", "WorkingDir": "working directory", "ExposedPorts": "ports", "Volumes": "volumes", "Entrypoint": "entrypoint",
	"Cmd": "command", "StopSignal": "stop signal", "created": "creation time",
}

// member compares one member of the configuration; plain ones are shown.
func (c *comparison) member(name string, x, y json.RawMessage, plain bool, weight int, remedy string) {
	p, q := canonical(x), canonical(y)
	if bytes.Equal(p, q) {
		return
	}
	view := func(b []byte) string {
		switch {
		case b == nil:
			return ""
		case plain:
			return shown(strings.Trim(string(b), `"`))
		}
		return secret(string(b))
	}
	d := Difference{Part: PartConfig, Kind: kind(p != nil, q != nil), Name: name, A: view(p), B: view(q), weight: weight, Remedy: remedy}
	word := words[name]
	if word == "" {
		word = "member " + shown(name) + " of the configuration"
	}
	d.Text = sentence(word, d)
	c.r.add(d)
}

// canonical writes JSON in one way; nil for what is missing, null or empty.
func canonical(raw json.RawMessage) []byte {
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if raw == nil || dec.Decode(&v) != nil {
		return nil
	}
	switch t := v.(type) {
	case nil:
		return nil
	case map[string]any:
		if len(t) == 0 {
			return nil
		}
	case []any:
		if len(t) == 0 {
			return nil
		}
	case string:
		if t == "" {
			return nil
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return b
}

func kind(inA, inB bool) string {
	switch {
	case !inA:
		return Added
	case !inB:
		return Removed
	}
	return Changed
}

// sentence says what happened to a thing with values.
func sentence(what string, d Difference) string {
	switch d.Kind {
	case Added:
		return fmt.Sprintf("%s is only in B: %s", what, d.B)
	case Removed:
		return fmt.Sprintf("%s is only in A: %s", what, d.A)
	}
	return fmt.Sprintf("%s changed: %s → %s", what, d.A, d.B)
}

func (c *comparison) environment() {
	x, y := environment(c.a), environment(c.b)
	before := len(c.r.Differences)
	for _, name := range members(x, y) {
		v, inA := x[name]
		w, inB := y[name]
		if inA == inB && v == w {
			continue
		}
		d := Difference{Part: PartConfig, Kind: kind(inA, inB), Name: name, weight: weightEnvironment}
		if inA {
			d.A = secret(v)
		}
		if inB {
			d.B = secret(w)
		}
		d.Text = sentence("environment variable "+shown(name), d)
		c.r.add(d)
	}
	if len(c.r.Differences) == before && !slices.Equal(c.a.config.Environment.Entries(), c.b.config.Environment.Entries()) {
		c.r.add(Difference{
			Part: PartConfig, Kind: Changed, Name: "Env", weight: weightEnvironment,
			Text: "the environment variables are the same in another order",
		})
	}
}

func environment(p *picture) map[string]string {
	out := map[string]string{}
	for _, e := range p.config.Environment.Entries() {
		name, value, _ := strings.Cut(e, "=")
		out[name] = value
	}
	return out
}

func (c *comparison) labels() {
	c.named(PartConfig, "label", weightLabel, c.a.config.Labels, c.b.config.Labels)
}

func (c *comparison) annotations() {
	c.named(PartManifest, "annotation", weightAnnotation, c.a.manifest.Annotations, c.b.manifest.Annotations)
}

// named compares labels or annotations; those of the base are compared elsewhere.
func (c *comparison) named(part, word string, weight int, a, b map[string]string) {
	for _, name := range members(a, b) {
		x, inA := a[name]
		y, inB := b[name]
		if inA == inB && x == y || name == baseDigest && c.a.recorded(baseDigest) != c.b.recorded(baseDigest) {
			continue
		}
		d := Difference{Part: part, Kind: kind(inA, inB), Name: name, A: label(name, x, inA), B: label(name, y, inB), weight: weight, Remedy: labelRemedy(name)}
		d.Text = sentence(word+" "+shown(name), d)
		c.r.add(d)
	}
}

// labelRemedy names the SDK's switch for the labels that differ without the image doing so.
func labelRemedy(name string) string {
	switch name {
	case ociPrefix + "revision":
		return "set ContainerGenerateLabelsImageRevision=false: then a commit alone makes no new image"
	case ociPrefix + "version":
		return "set ContainerGenerateLabelsImageVersion=false, or keep the version while nothing changes"
	case ociPrefix + "created", "org.opencontainers.artifact.created":
		return "set ContainerGenerateLabelsImageCreated=false, or the same SOURCE_DATE_EPOCH"
	case "net.dot.sdk.version":
		return "set ContainerGenerateLabelsDotnetToolset=false, or pin the SDK in global.json"
	}
	return ""
}

// history compares the entries; their texts may hold build arguments and are not shown.
func (c *comparison) history() {
	var x, y []json.RawMessage
	_ = json.Unmarshal(c.a.top["history"], &x) // the form was checked
	_ = json.Unmarshal(c.b.top["history"], &y)
	differ := 0
	for i := range max(len(x), len(y)) {
		if i >= len(x) || i >= len(y) || !bytes.Equal(canonical(x[i]), canonical(y[i])) {
			differ++
		}
	}
	if differ == 0 {
		return
	}
	d := Difference{Part: PartConfig, Kind: Changed, Name: "history", A: fmt.Sprint(len(x)), B: fmt.Sprint(len(y)), weight: weightHistory}
	d.Text = fmt.Sprintf("%d of %d entries of the history differ", differ, max(len(x), len(y)))
	if !slices.Equal(c.a.config.DiffIDs, c.b.config.DiffIDs) {
		d.weight, d.Consequence = weightConsequence, true // an entry names the key of its layer
	}
	c.r.add(d)
}
