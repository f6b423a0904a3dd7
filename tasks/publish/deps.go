package publish

import (
	"path"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/scan"
)

// deps is the part of a deps.json that says where files come from (dotnet/cli, runtime-configuration-file.md).
type deps struct {
	RuntimeTarget struct {
		Name string `json:"name"`
	} `json:"runtimeTarget"`
	Targets   map[string]map[string]library `json:"targets"`
	Libraries map[string]struct {
		Type string `json:"type"`
	} `json:"libraries"`
}

// library names assets by their paths in the package.
type library struct {
	Runtime        map[string]struct{} `json:"runtime"`
	Native         map[string]struct{} `json:"native"`
	RuntimeTargets map[string]struct{} `json:"runtimeTargets"`
	Resources      map[string]struct {
		Locale string `json:"locale"`
	} `json:"resources"`
}

// origins says where the app's files come from. What the deps.json does not name is the app's own, as with the .NET SDK's items.
// Files that the folder does not have are left to the stage, which ignores them.
func (a *app) origins() []scan.Item {
	if a == nil {
		return nil
	}
	var items []scan.Item
	for key, lib := range a.deps.Targets[a.deps.RuntimeTarget.Name] {
		origin := map[string]string{
			"package":     tasks.OriginPackage,
			"project":     tasks.OriginProject,
			"runtimepack": tasks.OriginRuntime,
		}[a.deps.Libraries[key].Type]
		files := lib.files()
		if origin == "" || slices.Contains(files, a.name+".dll") { // the app itself is listed as a project
			continue
		}
		name, version, _ := strings.Cut(key, "/")
		for _, f := range files {
			items = append(items, scan.Item{Path: f, Origin: origin, OriginName: name, OriginVersion: version})
		}
	}
	slices.SortFunc(items, func(a, b scan.Item) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.OriginName, b.OriginName)
	})
	return items
}

// files are the places of a library's assets in the published folder.
func (l library) files() []string {
	var out []string
	for asset := range l.Runtime {
		out = append(out, related(path.Base(asset))...)
	}
	for asset := range l.Native {
		out = append(out, path.Base(asset))
	}
	for asset, r := range l.Resources {
		out = append(out, path.Join(r.Locale, path.Base(asset)))
	}
	for asset := range l.RuntimeTargets {
		out = append(out, asset)
	}
	return out
}

// related are an assembly and the files that the SDK publishes beside one when they exist (AllowedReferenceRelatedFileExtensions);
// a deps.json does not name those.
func related(assembly string) []string {
	name := strings.TrimSuffix(assembly, path.Ext(assembly))
	return []string{assembly, name + ".pdb", name + ".xml", assembly + ".config"}
}

// rid is the runtime identifier that the app was published for, else this machine's.
func (a *app) rid() string {
	if a != nil {
		if _, rid, found := strings.Cut(a.deps.RuntimeTarget.Name, "/"); found && rid != "" {
			return rid
		}
	}
	return hostRID()
}
