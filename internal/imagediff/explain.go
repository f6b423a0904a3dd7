package imagediff

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/clrmeta"
)

// explainer says how files differ whose content does; x and y are the contents that were read.
type explainer struct {
	files *fileComparison
	x, y  map[string][]byte
	// versions says that some assembly has another version, which deps.json lists.
	versions bool
	// assemblies are the names of those that differ, without extension.
	assemblies map[string]bool
	// pdbs are the reasons that debug files give, by path without extension.
	pdbs map[string][]clrmeta.PDBChange
}

func (e *explainer) explain(changed []string) {
	e.assemblies, e.pdbs = map[string]bool{}, map[string][]clrmeta.PDBChange{}
	var rest []string
	for _, name := range changed {
		if path.Ext(name) == ".pdb" {
			e.pdb(name)
		}
	}
	for _, name := range changed {
		if ext := path.Ext(name); ext != ".dll" && ext != ".exe" || !e.assembly(name) {
			rest = append(rest, name)
		}
	}
	for _, name := range rest {
		e.content(name)
	}
}

func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// pdb keeps what a debug file says for the assembly beside it.
func (e *explainer) pdb(name string) {
	a, err := clrmeta.ParsePDB(e.x[name])
	if err != nil {
		return
	}
	b, err := clrmeta.ParsePDB(e.y[name])
	if err != nil {
		return
	}
	e.pdbs[stem(name)] = clrmeta.ComparePDB(a, b)
}

// assembly compares two assemblies; it is false when they are none that can be read.
func (e *explainer) assembly(name string) bool {
	a, err := clrmeta.Parse(e.x[name])
	if err != nil {
		return false
	}
	b, err := clrmeta.Parse(e.y[name])
	if err != nil {
		return false
	}
	changes := clrmeta.Compare(a, b)
	debug, known := e.pdbs[stem(name)]
	if !known && a.Embedded != nil && b.Embedded != nil {
		p, err1 := clrmeta.ParsePDB(a.Embedded)
		q, err2 := clrmeta.ParsePDB(b.Embedded)
		if err1 == nil && err2 == nil {
			debug = clrmeta.ComparePDB(p, q)
		}
	}
	e.assemblies[stem(name)] = true
	v := verdict{name: e.files.shownName(name), changes: changes, debug: debug, deterministic: a.Deterministic && b.Deterministic}
	d := v.difference()
	d.Name = name
	for _, c := range changes {
		switch c.Field {
		case clrmeta.InformationalVersion, clrmeta.AssemblyVersion, clrmeta.FileVersion:
			e.versions = true
		}
		d.Fields = append(d.Fields, AssemblyField{string(c.Field), fieldName(c), fieldValue(c, c.A), fieldValue(c, c.B)})
	}
	e.files.r.add(d)
	return true
}

// fieldName is a name out of an assembly, fit to be shown.
func fieldName(c clrmeta.Change) string { return shown(c.Name) }

// fieldValue hides the texts of attributes that can be anything.
func fieldValue(c clrmeta.Change, value string) string {
	switch {
	case value == "":
		return ""
	case c.Field == clrmeta.Attribute, c.Field == clrmeta.Win32Version && !strings.Contains(c.Name, "ersion"):
		return secret(value)
	}
	return shown(value)
}

// content reports another file, and whether it follows from assemblies.
func (e *explainer) content(name string) {
	x, y := e.files.a.files()[name], e.files.b.files()[name]
	d := Difference{Part: PartFiles, Kind: Changed, Name: name, weight: weightContent}
	d.A, d.B = string(x.digest), string(y.digest)
	d.Text = e.files.shownName(name) + " changed (content)"
	if x.size != y.size {
		d.Text = fmt.Sprintf("%s changed (content, %d → %d bytes)", e.files.shownName(name), x.size, y.size)
	}
	base := path.Base(name)
	switch {
	case path.Ext(name) == ".pdb" && e.assemblies[stem(name)]:
		d.weight, d.Consequence = weightConsequence, true
	case strings.HasSuffix(base, ".deps.json") && (e.versions || e.presence()):
		d.weight, d.Consequence = weightConsequence, true
	}
	e.files.r.add(d)
}

// presence says whether files came or went, which a deps.json lists.
func (e *explainer) presence() bool {
	return slices.ContainsFunc(e.files.r.Differences, func(d Difference) bool {
		return d.Part == PartFiles && d.weight == weightPresence && path.Ext(d.Name) == ".dll"
	})
}
