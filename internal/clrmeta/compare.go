package clrmeta

import (
	"bytes"
	"slices"
	"strings"
)

// Change is one difference. A and B are the values, empty where there are none to show or one side lacks them.
type Change struct {
	Field Field
	// Name sets changes of one field apart: the attribute, the referenced assembly, the method.
	Name string
	A, B string
}

// Compare returns all differences of two assemblies, each reason before what follows from it; none for equal ones. When no change is
// of the field Other, the list is proved to be complete.
func Compare(a, b *Assembly) []Change {
	if bytes.Equal(a.pe.data, b.pe.data) {
		return nil
	}
	changes := compareValues(a, b)
	if a.Deterministic != b.Deterministic {
		changes = slices.DeleteFunc(changes, func(c Change) bool { return c.Field == TimeStamp && c.Name != "" })
	}
	if a.inexact == nil && b.inexact == nil {
		changes = append(changes, compareParts(a, b)...)
	} else if !equalBut(a, b) {
		changes = append(changes, Change{Field: Other})
	}
	if len(changes) == 0 { // of the layout alone: another alignment
		changes = append(changes, Change{Field: Other})
	}
	slices.SortStableFunc(changes, func(x, y Change) int { return weight(x.Field) - weight(y.Field) })
	return changes
}

// weight orders fields: the program, then stamps with a reason, then what follows.
func weight(f Field) int {
	order := []Field{
		Code, Literals, Data, Declarations, ManagedResource, Win32Resource, Other, InformationalVersion, AssemblyVersion, FileVersion,
		Attribute, Reference, PDBPath, Win32Version, EmbeddedPDB, DebugData, MVID, TimeStamp, Checksum, PDBID, PDBChecksum, Signature,
	}
	return slices.Index(order, f)
}

type valueKey struct {
	field Field
	name  string
}

func compareValues(a, b *Assembly) []Change {
	other := map[valueKey]string{}
	for _, v := range b.values {
		other[valueKey{v.field, v.name}] = v.text
	}
	var changes []Change
	for _, v := range a.values {
		key := valueKey{v.field, v.name}
		text, ok := other[key]
		if delete(other, key); !ok || text != v.text {
			changes = append(changes, Change{v.field, v.name, v.text, text})
		}
	}
	for _, v := range b.values {
		if _, left := other[valueKey{v.field, v.name}]; left {
			changes = append(changes, Change{v.field, v.name, "", v.text})
		}
	}
	return fold(changes)
}

// fold drops the values of the Win32 version resource that repeat an attribute which changed in the same way, and the time stamps of
// debug entries, which repeat that of the file.
func fold(changes []Change) []Change {
	type pair struct{ a, b string }
	seen := map[pair]bool{}
	versions, stamps := false, false
	for _, c := range changes {
		switch c.Field {
		case InformationalVersion, AssemblyVersion, FileVersion, Attribute:
			versions = true
			seen[pair{c.A, c.B}] = true
		case TimeStamp:
			stamps = stamps || c.Name == ""
		}
	}
	return slices.DeleteFunc(changes, func(c Change) bool {
		switch {
		case c.Field == Win32Version && strings.HasSuffix(c.Name, "version number"):
			return versions
		case c.Field == Win32Version:
			return seen[pair{c.A, c.B}]
		}
		return stamps && c.Field == TimeStamp && c.Name != ""
	})
}

func compareParts(a, b *Assembly) []Change {
	other := map[string]part{}
	for _, p := range b.parts {
		other[p.name] = p
	}
	found := map[Field]bool{}
	for _, p := range a.parts {
		o, ok := other[p.name]
		if delete(other, p.name); !ok || o.sum != p.sum {
			found[p.field] = true
		}
	}
	for _, p := range other {
		found[p.field] = true
	}
	var changes []Change
	if found[Code] || found[Declarations] {
		methods := changedMethods(a, b)
		changes = append(changes, methods...)
		if len(methods) > 0 {
			delete(found, Code)
		}
	}
	for f := range found {
		changes = append(changes, Change{Field: f})
	}
	return changes
}

// equalBut says whether two files are equal byte by byte but for their named values, at the same places.
func equalBut(a, b *Assembly) bool {
	if len(a.pe.data) != len(b.pe.data) || !slices.Equal(a.masks, b.masks) {
		return false
	}
	x, y := bytes.Clone(a.pe.data), bytes.Clone(b.pe.data)
	for _, s := range a.masks {
		if s.start < 0 || s.end > len(x) || s.start > s.end {
			return false
		}
		clear(x[s.start:s.end])
		clear(y[s.start:s.end])
	}
	return bytes.Equal(x, y)
}
