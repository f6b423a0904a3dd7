package imagediff

import (
	"fmt"
	"io"
	"strings"
)

// Few is how many differences of one part are listed unless all are asked for.
const Few = 10

// WriteText writes the report for people: the first line is the cause. Without all, long lists are cut and say so.
func (r *Report) WriteText(w io.Writer, all bool) error {
	t := &text{all: all}
	t.line("%s", r.Cause)
	if !r.Equal {
		for _, remedy := range r.Remedies {
			t.line("  to avoid it: %s", remedy)
		}
		t.body(r, "")
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

type text struct {
	b   strings.Builder
	all bool
}

func (t *text) line(format string, args ...any) { fmt.Fprintf(&t.b, format+"\n", args...) }

func (t *text) body(r *Report, indent string) {
	t.line("")
	t.subject(indent+"A", r.A)
	t.subject(indent+"B", r.B)
	for _, part := range []string{PartFormat, PartPlatform, PartBase, PartFiles, PartConfig, PartManifest, PartLayers} {
		t.part(r, part, indent, part == PartLayers && r.Layers != nil)
	}
	if r.Layers != nil {
		t.layers(r.Layers, indent)
	}
	for _, p := range r.Platforms {
		t.line("\n%s%s: %s", indent, p.A.Platform, p.Cause)
		t.body(p, indent+"  ")
	}
}

func (t *text) subject(name string, s Subject) {
	t.line("%s  %s", name, strings.Join(strings.Fields(strings.Join([]string{shown(s.Reference), string(s.Digest), s.Platform}, " ")), "  "))
}

// part lists the differences of one part under its name, which is there for an empty list only when more follows.
func (t *text) part(r *Report, part, indent string, more bool) {
	n, left := 0, 0
	if more {
		t.line("%s%s", indent, part)
	}
	for _, d := range r.Differences {
		if d.Part != part {
			continue
		}
		if n == 0 && !more {
			t.line("%s%s", indent, part)
		}
		if n++; n > Few && !t.all {
			left++
			continue
		}
		follows := ""
		if d.Consequence {
			follows = " (follows from the above)"
		}
		t.line("%s  %s%s", indent, d.Text, follows)
		if t.all {
			t.fields(d, indent)
		}
	}
	if left > 0 {
		t.line("%s  … and %d more (--all lists them)", indent, left)
	}
}

func (t *text) fields(d Difference, indent string) {
	for _, f := range d.Fields {
		name := strings.TrimSpace(f.Field + " " + f.Name)
		t.line("%s      %s: %s → %s", indent, name, f.A, f.B)
	}
}

func (t *text) layers(l *Layers, indent string) {
	size := func(list []LayerInfo) (n int64) {
		for _, i := range list {
			n += i.Size
		}
		return n
	}
	t.line("%s  %d shared (%s), %d only in A (%s), %d only in B (%s)", indent,
		len(l.Shared), bytesText(size(l.Shared)), len(l.OnlyA), bytesText(size(l.OnlyA)), len(l.OnlyB), bytesText(size(l.OnlyB)))
	for _, group := range []struct {
		name string
		list []LayerInfo
		show bool
	}{{"shared   ", l.Shared, t.all}, {"only in A", l.OnlyA, true}, {"only in B", l.OnlyB, true}} {
		for i, info := range group.list {
			if group.show && (i < Few || t.all) {
				t.line("%s  %s  %s  %s", indent, group.name, info.Digest, bytesText(info.Size))
			}
		}
	}
}

// bytesText writes a size as people read it.
func bytesText(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
