package imagediff

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/clrmeta"
)

// maxContent bounds the assemblies of one side that are kept in memory, in bytes.
const maxContent = 256 << 20

// tree is the files of a side, by path relative to the root of the image.
type tree interface {
	files() scanned
	// contents reads files; those that do not fit into maxContent are left out.
	contents(ctx context.Context, names []string) (map[string][]byte, error)
}

// fileComparison compares two trees.
type fileComparison struct {
	r    *Report
	root string // what paths are shown relative to
	a, b tree
	// attributes says whether modes, owners and times count: a folder has its own.
	attributes bool
}

func (f *fileComparison) run(ctx context.Context) error {
	x, y := f.a.files(), f.b.files()
	var changed []string
	attributes := map[string][]string{}
	for _, name := range members(x, y) {
		p, q := x[name], y[name]
		switch {
		case p == nil || q == nil:
			f.presence(name, p, q)
		case p.kind != q.kind:
			f.add(name, weightContent, fmt.Sprintf("was a %s and is a %s", p.kind, q.kind))
		case p.kind == typeLink && p.link != q.link:
			f.add(name, weightContent, fmt.Sprintf("leads elsewhere: %s → %s", shown(p.link), shown(q.link)))
		case p.digest != q.digest:
			changed = append(changed, name)
		case f.attributes:
			for _, what := range p.attributes(q) {
				attributes[what] = append(attributes[what], name)
			}
		}
	}
	f.attributeDifferences(attributes)
	return f.contents(ctx, changed)
}

// shownName is a path as people know it: relative to the working directory when it is in it.
func (f *fileComparison) shownName(name string) string {
	if rest, ok := strings.CutPrefix(name, f.root+"/"); ok || f.root == "" {
		if f.root == "" {
			rest = name
		}
		return shown(rest)
	}
	return shown("/" + name)
}

func (f *fileComparison) add(name string, weight int, what string) {
	f.r.add(Difference{Part: PartFiles, Kind: Changed, Name: name, Text: f.shownName(name) + " " + what, weight: weight})
}

func (f *fileComparison) presence(name string, p, q *entry) {
	d := Difference{Part: PartFiles, Kind: Added, Name: name, weight: weightPresence}
	e, where := q, "B"
	if p != nil {
		d.Kind, e, where = Removed, p, "A"
	}
	switch e.kind {
	case typeDeleted, typeOpaque:
		d.Text = fmt.Sprintf("%s is deleted of a lower layer only in %s", f.shownName(name), where)
	case typeFolder:
		d.Text = fmt.Sprintf("%s/ is only in %s", f.shownName(name), where)
		d.weight = weightMode // a folder alone is rarely the reason
	default:
		d.Text = fmt.Sprintf("%s is only in %s", f.shownName(name), where)
	}
	f.r.add(d)
}

// Attributes of entries that are compared.
const (
	attributeMode  = "mode"
	attributeOwner = "owner"
	attributeExtra = "extended attributes"
	attributeTime  = "time"
)

func (e *entry) attributes(o *entry) []string {
	var out []string
	if e.mode != o.mode {
		out = append(out, attributeMode)
	}
	if e.uid != o.uid || e.gid != o.gid {
		out = append(out, attributeOwner)
	}
	if e.extra != o.extra {
		out = append(out, attributeExtra)
	}
	if !e.time.Equal(o.time) {
		out = append(out, attributeTime)
	}
	return out
}

func (e *entry) text(attribute string) string {
	switch attribute {
	case attributeMode:
		return fmt.Sprintf("%04o", e.mode)
	case attributeOwner:
		return fmt.Sprintf("%d:%d", e.uid, e.gid)
	case attributeTime:
		return e.time.UTC().Format(time.RFC3339Nano)
	}
	return shown(e.extra)
}

// attributeDifferences makes one difference of each attribute, as one cause changes it for many files.
func (f *fileComparison) attributeDifferences(names map[string][]string) {
	for _, what := range []string{attributeMode, attributeOwner, attributeExtra, attributeTime} {
		list := names[what]
		if len(list) == 0 {
			continue
		}
		first := list[0]
		d := Difference{Part: PartFiles, Kind: Changed, Name: first, weight: weightMode}
		d.A, d.B = f.a.files()[first].text(what), f.b.files()[first].text(what)
		d.Text = fmt.Sprintf("the %s of %s changed: %s → %s", what, f.shownName(first), d.A, d.B)
		if n := len(list) - 1; n > 0 {
			d.Text += fmt.Sprintf(" (and that of %d more with the same content)", n)
		}
		if what == attributeTime {
			d.weight = weightTime
			d.Remedy = "set the same SOURCE_DATE_EPOCH, or none"
		}
		f.r.add(d)
	}
}

// contents says how files differ whose content does.
func (f *fileComparison) contents(ctx context.Context, changed []string) error {
	var wanted []string
	for _, name := range changed {
		x, y := f.a.files()[name], f.b.files()[name]
		if isLookedInto(name) && x.size <= clrmeta.MaxSize && y.size <= clrmeta.MaxSize {
			wanted = append(wanted, name)
		}
	}
	x, err := f.a.contents(ctx, wanted)
	if err != nil {
		return err
	}
	y, err := f.b.contents(ctx, wanted)
	if err != nil {
		return err
	}
	e := &explainer{files: f, x: x, y: y}
	e.explain(changed)
	return nil
}

func isLookedInto(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".dll", ".exe", ".pdb":
		return true
	}
	return false
}

// imageFiles is the tree of an image.
type imageFiles struct {
	p   *picture
	all scanned
}

func (t imageFiles) files() scanned { return t.all }

func (t imageFiles) contents(ctx context.Context, names []string) (map[string][]byte, error) {
	byLayer := map[int]map[string]bool{}
	for _, name := range names {
		e := t.all[name]
		if e.hard {
			continue // its content has another name
		}
		if byLayer[e.layer] == nil {
			byLayer[e.layer] = map[string]bool{}
		}
		byLayer[e.layer][name] = true
	}
	out := map[string][]byte{}
	left := int64(maxContent)
	for i, wanted := range byLayer {
		err := t.p.walk(ctx, i, func(name string, h *tar.Header, content io.Reader) error {
			if !wanted[name] || h.Typeflag != tar.TypeReg || h.Size > left || h.Size > clrmeta.MaxSize {
				return nil
			}
			b, err := io.ReadAll(content)
			left -= int64(len(b))
			out[name] = b
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for name, b := range out {
		if cas.DigestOf(b) != t.all[name].digest {
			delete(out, name) // a layer with the same name twice
		}
	}
	return out, nil
}
