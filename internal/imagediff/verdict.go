package imagediff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/clrmeta"
)

// verdict puts the differences of one assembly into words.
type verdict struct {
	name          string // as it is shown
	changes       []clrmeta.Change
	debug         []clrmeta.PDBChange
	deterministic bool
}

// Remedies: what to set, and what it does.
const (
	remedyRevision      = "set IncludeSourceRevisionInInformationalVersion=false: then a commit that changes nothing in a project leaves its assembly as it is"
	remedyInformational = "keep Version and InformationalVersion the same while nothing changes"
	remedyVersion       = "keep AssemblyVersion and FileVersion the same while nothing changes: no clock and no build number in them"
	remedyPaths         = "map the paths: PathMap=$(MSBuildProjectDirectory)=/_/, or ContinuousIntegrationBuild=true in a project with source control"
	remedyDeterministic = "leave Deterministic at true: without it the compiler stamps every build anew"
	remedySourceLink    = "set EnableSourceLink=false: the debug file names the revision, and the assembly has the debug file's digest"
)

// difference is the verdict. "Only" is said when clrmeta proved that nothing else differs.
func (v *verdict) difference() Difference {
	d := Difference{Part: PartFiles, Kind: Changed, Proved: !v.has(clrmeta.Other)}
	program := v.has(clrmeta.Code, clrmeta.Literals, clrmeta.Data, clrmeta.Declarations, clrmeta.ManagedResource, clrmeta.Win32Resource)
	switch {
	case program:
		d.weight = weightCode
		d.Text = v.name + " is another program: " + v.program()
		return d
	case !d.Proved:
		d.weight = weightContent
		d.Text = v.name + " differs in " + v.stamps() + " and possibly more"
		if v.stamps() == "" {
			d.Text = v.name + " changed (content)"
		}
	default:
		d.weight = weightStamp
		d.Text = v.name + " differs only in its " + v.stamps()
	}
	d.Remedy = v.remedy()
	if d.Remedy == "" && d.Proved && v.derivedOnly() {
		d.weight = weightFollows
	}
	return d
}

func (v *verdict) has(fields ...clrmeta.Field) bool {
	return slices.ContainsFunc(v.changes, func(c clrmeta.Change) bool { return slices.Contains(fields, c.Field) })
}

func (v *verdict) derivedOnly() bool {
	return !slices.ContainsFunc(v.changes, func(c clrmeta.Change) bool { return !c.Field.Derived() && c.Field != clrmeta.EmbeddedPDB })
}

// maxNamed is how many things of one kind are named.
const maxNamed = 3

// program says what of the program differs.
func (v *verdict) program() string {
	var parts, methods []string
	for _, c := range v.changes {
		switch c.Field {
		case clrmeta.Code:
			if c.Name == "" {
				parts = append(parts, "code")
				break
			}
			methods = append(methods, shown(c.Name))
		case clrmeta.Literals, clrmeta.Data, clrmeta.Declarations, clrmeta.ManagedResource, clrmeta.Win32Resource:
			parts = append(parts, plural(c.Field))
		}
	}
	if len(methods) > 0 {
		parts = append([]string{"the code of " + some(methods)}, parts...)
	}
	return "it differs in " + join(parts)
}

func plural(f clrmeta.Field) string {
	if f == clrmeta.Win32Resource {
		return "Win32 resources"
	}
	return string(f)
}

func some(names []string) string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if n := len(names) - maxNamed; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), n)
	}
	return join(names)
}

func join(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// stamps lists the fields that differ, with the values of those that can be reasons. MVID stands for all that a compiler derives
// from the rest: time stamp, checksums, ids of the debug file; the report's fields list each.
func (v *verdict) stamps() string {
	var parts, references []string
	if v.has(clrmeta.MVID) {
		parts = append(parts, "MVID")
	}
	for _, c := range v.changes {
		switch {
		case c.Field == clrmeta.Other || c.Field == clrmeta.MVID:
		case c.Field.Derived():
			if !v.has(clrmeta.MVID) && !slices.Contains(parts, string(c.Field)) {
				parts = append(parts, string(c.Field))
			}
		case c.Field == clrmeta.Reference:
			references = append(references, fmt.Sprintf("%s %s → %s", shown(c.Name), c.A, c.B))
		case c.Field == clrmeta.EmbeddedPDB, c.Field == clrmeta.DebugData:
			if !slices.Contains(parts, string(c.Field)) {
				parts = append(parts, string(c.Field))
			}
		default:
			parts = append(parts, v.stamp(c))
		}
	}
	if len(references) > 0 {
		parts = append(parts, "references "+some(references))
	}
	if more := v.sources(); more != "" {
		parts = append(parts, more)
	}
	return join(parts)
}

func (v *verdict) stamp(c clrmeta.Change) string {
	name := string(c.Field)
	switch c.Field {
	case clrmeta.Attribute:
		name = strings.TrimSuffix(strings.TrimPrefix(shown(c.Name), "System.Reflection."), "Attribute")
	case clrmeta.Win32Version:
		name = "Win32 " + shown(c.Name)
	}
	a, b := fieldValue(c, c.A), fieldValue(c, c.B)
	switch {
	case a == "":
		return fmt.Sprintf("%s %s (only in B)", name, b)
	case b == "":
		return fmt.Sprintf("%s %s (only in A)", name, a)
	}
	return fmt.Sprintf("%s %s → %s", name, a, b)
}

// sources says what the debug file knows, when nothing else gives a reason.
func (v *verdict) sources() string {
	if !v.derivedOnly() {
		return ""
	}
	for _, c := range v.debug {
		switch c.Kind {
		case clrmeta.PDBPaths:
			return fmt.Sprintf("debug file's source paths %s → %s", shown(c.A), shown(c.B))
		case clrmeta.PDBSourceLink:
			return "debug file's SourceLink (it names the revision)"
		case clrmeta.PDBSources:
			return "debug file (the text of " + shown(c.A) + " changed)"
		}
	}
	return ""
}

// remedy names the setting for the first reason that has one.
func (v *verdict) remedy() string {
	if !v.deterministic {
		return remedyDeterministic
	}
	for _, c := range v.changes {
		switch c.Field {
		case clrmeta.InformationalVersion:
			if before(c.A) == before(c.B) {
				return remedyRevision + v.sourceLink()
			}
			return remedyInformational
		case clrmeta.AssemblyVersion, clrmeta.FileVersion:
			return remedyVersion
		case clrmeta.PDBPath:
			return remedyPaths
		}
	}
	for _, c := range v.debug {
		switch c.Kind {
		case clrmeta.PDBPaths:
			return remedyPaths
		case clrmeta.PDBSourceLink:
			return remedySourceLink
		}
	}
	return ""
}

// sourceLink completes the remedy for the revision where that is in the debug file as well.
func (v *verdict) sourceLink() string {
	if slices.ContainsFunc(v.debug, func(c clrmeta.PDBChange) bool { return c.Kind == clrmeta.PDBSourceLink }) {
		return "; and " + remedySourceLink
	}
	return ""
}

// before is a version without what semantic versioning calls build metadata: where the SDK puts the revision.
func before(version string) string {
	v, _, _ := strings.Cut(version, "+")
	return v
}
