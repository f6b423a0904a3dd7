package scan

import (
	"path"
	"regexp"
	"strings"

	"github.com/gantry-build/gantry/tasks"
)

// kind is the item's origin. MSBuild's items call the files of a self-contained app's runtime those of a package, the runtime pack
// Microsoft.NETCore.App.Runtime.RID or its like (KnownRuntimePack of the SDK's bundled versions): several projects share it, and it
// changes with the SDK alone.
func (i *Item) kind() string {
	if i.Origin == tasks.OriginPackage && runtimePack.MatchString(i.OriginName) {
		return tasks.OriginRuntime
	}
	return i.Origin
}

var runtimePack = regexp.MustCompile(`(?i)^(Microsoft\.(NETCore|AspNetCore|WindowsDesktop)\.App\.Runtime|runtime\.[^.]+\.Microsoft\.DotNet\.ILCompiler)\b`)

// items finds the item of a published file.
type items struct {
	exact  map[string]named  // by path
	folded map[string]*Item  // by path as a file system without case has it
	kinds  map[string]string // of packages, by name: a package has many files
}

// named is the last item of a path; several says that its items name different sources.
type named struct {
	*Item
	several bool
}

func index(list []Item) items {
	x := items{make(map[string]named, len(list)), make(map[string]*Item, len(list)), map[string]string{}}
	for i := range list {
		item := &list[i]
		at := path.Clean(slashed(item.Path))
		earlier, ok := x.exact[at]
		x.exact[at] = named{item, ok && (earlier.several || earlier.SourcePath != item.SourcePath)}
		x.folded[foldCase(at)] = item
	}
	return x
}

// kind is the origin of an item.
func (x *items) kind(i *Item) string {
	if i.Origin != tasks.OriginPackage {
		return i.Origin
	}
	kind, ok := x.kinds[i.OriginName]
	if !ok {
		kind = i.kind()
		x.kinds[i.OriginName] = kind
	}
	return kind
}

// slashed has slashes for backslashes. A name on Linux may have a backslash of its own, so both sides lose theirs.
func slashed(path string) string { return strings.ReplaceAll(path, `\`, "/") }

// names returns the item that names exactly the file at path.
func (x *items) names(path string) (named, bool) {
	n, ok := x.exact[slashed(path)]
	return n, ok
}

// origin is the item that tells where the file at path comes from; nil when there is none.
func (x *items) origin(path string) *Item {
	if n, ok := x.names(path); ok {
		return n.Item
	}
	return x.folded[foldCase(slashed(path))]
}
