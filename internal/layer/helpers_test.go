package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func folderAt(t testing.TB, dir string) *Folder {
	t.Helper()
	f, err := OpenFolder(dir)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// list describes the files of dir as they are now.
func list(t testing.TB, dir string) []File {
	t.Helper()
	var files []File
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := os.Stat(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files = append(files, File{Path: filepath.ToSlash(rel), Size: fi.Size(), ModTime: fi.ModTime().UnixNano(), Time: DefaultTime})
		return err
	}))
	return files
}

func entriesOf(t testing.TB, dir string, spec *Spec) []*tar.Header {
	t.Helper()
	var b bytes.Buffer
	must(t, WriteTar(context.Background(), &b, folderAt(t, dir), spec))
	var entries []*tar.Header
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		must(t, err)
		entries = append(entries, h)
	}
}

func wantCode(t testing.TB, err error, code diag.Code) {
	t.Helper()
	if err == nil || diag.CodeOf(err) != code {
		t.Fatalf("error %v (%s), want %s", err, diag.CodeOf(err), code)
	}
}
