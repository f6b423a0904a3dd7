package createlayers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

// inputs are what the stages before have said.
type inputs struct {
	base       tasks.Base
	folderPath string
	files      []tasks.FileEntry
	extras     []tasks.ExtraLayer
	digests    []tasks.FileDigest
}

// fileList is the response of scan.
type fileList struct {
	tasks.ResponseHeader
	FolderPath string            `json:"folderPath"`
	Files      []tasks.FileEntry `json:"files"`
}

func readInputs(req *Request) (*inputs, error) {
	base, baseRead, err := tasks.ReadBase(req.SelectBasePath)
	if err != nil {
		return nil, err
	}
	var list fileList
	listRead, err := tasks.ReadResponse(req.FileListPath, "scan", &list)
	if err != nil {
		return nil, err
	}
	in := &inputs{base: *base, folderPath: list.FolderPath, files: list.Files}
	if in.folderPath == "" {
		return nil, diag.New(diag.InvalidValue, "fileListPath: "+req.FileListPath+" names no folder", "make it with gantry scan")
	}
	if !filepath.IsAbs(in.folderPath) {
		in.folderPath = filepath.Join(filepath.Dir(req.FileListPath), in.folderPath)
	}
	if err := checkFiles(req.FileListPath, in.files); err != nil {
		return nil, err
	}
	dir := strings.TrimRight(filepath.ToSlash(in.folderPath), "/") + "/"
	in.digests = []tasks.FileDigest{{Path: dir, Digest: tasks.FileListDigest(in.files)}, listRead, baseRead}
	if req.ExtraLayersPath != "" {
		extras, read, err := readExtras(req.ExtraLayersPath)
		if err != nil {
			return nil, err
		}
		in.extras, in.digests = extras, append(in.digests, read)
	}
	slices.SortFunc(in.digests, func(a, b tasks.FileDigest) int { return strings.Compare(a.Path, b.Path) })
	return in, nil
}

// checkFiles refuses a list that scan would not write.
func checkFiles(list string, files []tasks.FileEntry) error {
	bad := func(i int, why string) error {
		return diag.New(diag.InvalidValue, fmt.Sprintf("%s: files[%d] %s", list, i, why), "make the list with gantry scan")
	}
	seen := make(map[string]bool, len(files))
	for i, f := range files {
		switch {
		case !layer.ValidPath(f.Path):
			return bad(i, fmt.Sprintf("has the path %q, which is not relative and clean", f.Path))
		case seen[f.Path]:
			return bad(i, fmt.Sprintf("names %q again", f.Path))
		case f.Type != tasks.TypeFile && f.Type != tasks.TypeDirectory:
			return bad(i, fmt.Sprintf("has the type %q", f.Type))
		case f.Size < 0:
			return bad(i, "has a negative size")
		}
		switch f.Origin {
		case "", tasks.OriginApp, tasks.OriginProject, tasks.OriginPackage, tasks.OriginRuntime:
		default:
			return bad(i, fmt.Sprintf("has the origin %q", f.Origin))
		}
		seen[f.Path] = true
	}
	return nil
}
