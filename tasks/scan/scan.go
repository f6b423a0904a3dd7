// Package scan is the stage that walks the publish folder: it lists every file and folder with its size and time, says where
// each file comes from as far as MSBuild knows, and refuses what cannot go into an image.
//
// The list is what the stages after it compare with the last one, so it has nothing that differs without the content: folders
// have no time, and files that the SDK writes anew in every publish (the request names them by pattern) have the digest of
// their content in place of times. A file costs one stat; a file's content is read only for those patterns. A file that may
// not be read is therefore found by create-layers, when it reads it.
//
// A file's change time (ctime) is listed beside its time of modification: cp -p, rsync -t and unpacked archives put other content
// under the old size and time, and only the change time shows it. It differs after a chmod too, and after a copy of the folder: then
// create-layers makes the same layers again. Windows lists no change time: there, size and time of modification have to do.
//
// Symbolic links are followed while they stay in the folder and appear as what they lead to, as the SDK has it; hidden files
// are files like others; on Windows, files with the system attribute are left out, as the SDK does.
package scan

import (
	"context"
	"log/slog"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

// Stage is the stage's name.
const Stage = "scan"

// Request is the stage's request.
type Request struct {
	tasks.RequestHeader
	// FolderPath is the publish folder.
	FolderPath string `json:"folderPath"`
	// Items are the files that MSBuild published, as far as it knows where they come from. Of two for one path the last counts;
	// those that the folder does not have are ignored.
	Items []Item `json:"items,omitempty"`
	// Rewritten are patterns of files that are compared by content: doublestar globs of paths relative to the folder, with
	// slashes, for example "*.deps.json" or "wwwroot/**/*.gz".
	Rewritten []string `json:"rewritten,omitempty"`
}

// Item says where one published file comes from.
type Item struct {
	// Path is relative to the publish folder; backslashes count as slashes, and case does not count.
	Path string `json:"path"`
	// SourcePath is the file that was copied. It is not read: it tells a reader of the request what the file is.
	SourcePath string `json:"sourcePath,omitempty"`
	// Origin is one of the Origin kinds of package tasks; OriginName and OriginVersion the package or project.
	Origin        string `json:"origin"`
	OriginName    string `json:"originName,omitempty"`
	OriginVersion string `json:"originVersion,omitempty"`
}

// Response is the stage's response: the file list.
type Response struct {
	tasks.ResponseHeader
	// FolderPath is the request's.
	FolderPath string `json:"folderPath"`
	// Files are all files and folders, sorted by the bytes of their paths.
	Files []tasks.FileEntry `json:"files"`
}

// Deps are what the stage needs from outside.
type Deps struct {
	// Log may be nil.
	Log *slog.Logger
}

// Run walks the folder. Where several files are refused the error is that of the first in the order of the walk and says how
// many more there are. Codes: CONTAINER2011 (no such folder), GANTRY4001 (no files in it), 4002 (cannot be read), 4003
// (changed while it was read), 4004 (link out of the folder), 4005 (two names that differ in case only), 4006 (not UTF-8), 4007
// (device, pipe, socket), 4008 (.wh.), 4012 (link that leads in a circle or nowhere).
func Run(ctx context.Context, d Deps, req *Request) (*Response, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	folder, err := layer.OpenFolder(req.FolderPath)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	w := &walker{ctx: ctx, folder: folder, req: req}
	if err := w.run(); err != nil {
		return nil, err
	}
	sort.Slice(w.files, func(i, j int) bool { return w.files[i].Path < w.files[j].Path })
	count := attach(w.files, req.Items)
	if count == 0 {
		return nil, diag.New(diag.PublishFolderEmpty, "the publish folder "+req.FolderPath+" has no files",
			"publish first: an image without the app is never what was meant")
	}
	if d.Log != nil {
		d.Log.Info("scanned the publish folder", "stage", Stage, "files", count, "read", w.read)
	}
	return &Response{
		ResponseHeader: tasks.ResponseHeader{SchemaVersion: tasks.SchemaVersion, Stage: Stage, Inputs: w.inputs(), Outputs: []tasks.Output{}},
		FolderPath:     req.FolderPath,
		Files:          w.files,
	}, nil
}

// inputs are the folder and the files in it whose content was read.
func (w *walker) inputs() []tasks.FileDigest {
	dir := strings.TrimRight(filepath.ToSlash(w.req.FolderPath), "/") + "/"
	list := []tasks.FileDigest{{Path: dir, Digest: tasks.FileListDigest(w.files)}}
	for i := range w.files {
		if f := &w.files[i]; f.Digest != "" {
			list = append(list, tasks.FileDigest{Path: dir + f.Path, Digest: f.Digest})
		}
	}
	return list
}

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

// attach gives the files their origins and returns the number of files.
func attach(files []tasks.FileEntry, items []Item) int {
	byPath := make(map[string]*Item, len(items))
	for i := range items {
		byPath[foldCase(strings.ReplaceAll(items[i].Path, `\`, "/"))] = &items[i]
	}
	count := 0
	for i := range files {
		f := &files[i]
		if f.Type != tasks.TypeFile {
			continue
		}
		count++
		// A name on Linux may have a backslash of its own, so both sides lose theirs.
		if item := byPath[foldCase(strings.ReplaceAll(f.Path, `\`, "/"))]; item != nil {
			f.Origin, f.OriginName, f.OriginVersion = item.kind(), item.OriginName, item.OriginVersion
		} else {
			f.Origin = tasks.OriginApp
		}
	}
	return count
}

// rewritten says whether the file at path is compared by content.
func (r *Request) rewritten(path string) bool {
	for _, pattern := range r.Rewritten {
		if ok, _ := doublestar.Match(pattern, path); ok { // the pattern was validated
			return true
		}
	}
	return false
}
