package createlayers

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/gantry-build/gantry/internal/layer"
	"github.com/gantry-build/gantry/tasks"
)

// extraProblem says what makes a layer one that resolve-layers would not write; empty means that nothing does.
func extraProblem(l *tasks.ExtraLayer) string {
	switch {
	case l.Name == "":
		return "has no name"
	case l.Order != tasks.OrderBeforeApp && l.Order != tasks.OrderAfterApp:
		return fmt.Sprintf("has the order %q", l.Order)
	case (l.Blob == nil) == (l.Files == nil):
		return "is not either a blob or files"
	case l.Blob != nil:
		return blobProblem(l.Blob)
	}
	return filesProblem(l.Files)
}

func blobProblem(b *tasks.ExtraBlob) string {
	switch {
	case b.Descriptor.Digest == "" || b.Descriptor.Size <= 0:
		return "has no digest or no size"
	case b.DiffID == "":
		return "has no diff ID"
	case b.Key != tasks.BlobKey(b.Descriptor.Digest):
		return "has a key that is not that of its digest"
	case (b.Source == nil) == (b.BlobPath == ""):
		return "is not either in a repository or in a file"
	case b.Source != nil && (b.Source.Registry == "" || b.Source.Repository == ""):
		return "has a source without a registry or a repository"
	}
	return ""
}

func filesProblem(f *tasks.ExtraFiles) string {
	mode, err := strconv.ParseInt(cmp.Or(f.Mode, "755"), 8, 64)
	switch {
	case f.TargetDirectory == "" || strings.ContainsFunc(f.TargetDirectory, unicode.IsControl):
		return fmt.Sprintf("has the folder %q", f.TargetDirectory)
	case min(f.UID, f.GID) < 0 || max(f.UID, f.GID) > math.MaxInt32:
		return fmt.Sprintf("has the owner %d:%d", f.UID, f.GID)
	case err != nil || mode < 1 || mode > 0o7777:
		return fmt.Sprintf("has the mode %q", f.Mode)
	case len(f.Files) == 0:
		return "has no files"
	}
	seen := make(map[string]bool, len(f.Files))
	for _, file := range f.Files {
		switch {
		case !layer.ValidPath(file.Path):
			return fmt.Sprintf("has a file at %q, which is not relative and clean", file.Path)
		case seen[file.Path]:
			return fmt.Sprintf("has two files at %q", file.Path)
		case file.SourcePath == "" || file.Digest == "" || file.Size < 0:
			return fmt.Sprintf("has the file %q without a source, digest or size", file.Path)
		}
		seen[file.Path] = true
	}
	return ""
}
