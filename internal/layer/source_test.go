package layer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// hooked calls hook before the second read of each file.
type hooked struct {
	fs.FS
	hook func() error
}

type hookedFile struct {
	fs.File
	hook  func() error
	reads int
}

func (h hooked) Open(name string) (fs.File, error) {
	f, err := h.FS.Open(name)
	return &hookedFile{File: f, hook: h.hook}, err
}

func (f *hookedFile) Read(p []byte) (int, error) {
	if f.reads++; f.reads == 2 {
		if err := f.hook(); err != nil {
			return 0, err
		}
	}
	return f.File.Read(p)
}

func TestFileThatChanges(t *testing.T) {
	size := 2*copyBuffer + 10
	tests := []struct {
		name   string
		before func(path string, f *File) error // after the list was made
		during func(path string) error          // while it is read
		code   diag.Code
		says   string
	}{
		{"as listed", nil, nil, "", ""},
		{"grows while read", nil, func(p string) error { return appendTo(p, "more") }, diag.FileChanged, "grew"},
		{"shrinks while read", nil, func(p string) error { return os.Truncate(p, 5) }, diag.FileChanged, "shrank"},
		{"is touched while read", nil, touch, diag.FileChanged, "while it was read"},
		{"read fails", nil, func(string) error { return errors.New("input/output error") }, diag.UnreadableFile, "input/output error"},
		{"other size", func(p string, _ *File) error { return appendTo(p, "more") }, nil, diag.FileChanged, "had 524298"},
		{"other time", func(p string, _ *File) error { return touch(p) }, nil, diag.FileChanged, "after the publish folder was scanned"},
		{"gone", func(p string, _ *File) error { return os.Remove(p) }, nil, diag.FileChanged, "is gone"},
		{"a folder now", func(p string, _ *File) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) }, nil, diag.FileChanged, "no longer a file"},
		{"other content", func(_ string, f *File) error { f.Digest = cas.DigestOf(nil); return nil }, nil, diag.FileChanged, "other content"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "sub/f.bin", strings.Repeat("x", size))
			path := filepath.Join(dir, "sub", "f.bin")
			files := list(t, dir)
			if tt.before != nil {
				must(t, tt.before(path, &files[0]))
			}
			folder := hooked{folderAt(t, dir), func() error {
				if tt.during != nil {
					return tt.during(path)
				}
				return nil
			}}
			_, err := Write(context.Background(), io.Discard, folder, &Spec{WorkingDirectory: "/app", Files: files}, 2)
			if tt.code == "" {
				must(t, err)
				return
			}
			wantCode(t, err, tt.code)
			if !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "sub/f.bin") {
				t.Errorf("error %q does not say %q of sub/f.bin", err, tt.says)
			}
		})
	}
}

// Files from anywhere lie at the paths that they are given, with the mode and owner of the layer, and are proved as the others are.
func TestFilesFromElsewhere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "m.onnx", "model")
	write(t, dir, "other", "data")
	must(t, os.Symlink("m.onnx", filepath.Join(dir, "link")))
	source := func(name, path string, content string) File {
		return File{Path: path, SourcePath: filepath.Join(dir, name), Size: int64(len(content)), Digest: cas.DigestOf([]byte(content)), Time: DefaultTime}
	}
	spec := &Spec{
		WorkingDirectory: "/models", UID: 1654, GID: 1655, Mode: 0o640, Time: DefaultTime,
		Files: []File{source("link", "deep/m.onnx", "model"), source("other", "other", "data")},
	}
	var tar bytes.Buffer
	must(t, WriteTar(context.Background(), &tar, nil, spec))
	got := ""
	for _, e := range entriesOf(t, dir, spec) {
		got += fmt.Sprintf("%s %o %d:%d %d\n", e.Name, e.Mode, e.Uid, e.Gid, e.Size)
	}
	if want := "models 755 1654:1655 0\nmodels/deep 755 1654:1655 0\nmodels/deep/m.onnx 640 1654:1655 5\nmodels/other 640 1654:1655 4\n"; got != want {
		t.Errorf("entries\n%swant\n%s", got, want)
	}
	for _, tt := range []struct {
		name   string
		change func(path string) error
		code   diag.Code
		says   string
	}{
		{"other content", func(p string) error { return os.WriteFile(p, []byte("atad"), 0o644) }, diag.FileChanged, "other content than when it was listed"},
		{"other size", func(p string) error { return os.WriteFile(p, nil, 0o644) }, diag.FileChanged, "had 4 when it was listed"},
		{"a folder", func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) }, diag.FileChanged, "no longer a file"},
		{"gone", os.Remove, diag.FileChanged, "is gone since it was listed"},
	} {
		path := filepath.Join(dir, "other")
		must(t, tt.change(path))
		err := WriteTar(context.Background(), io.Discard, nil, spec)
		wantCode(t, err, tt.code)
		if !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "publish folder") {
			t.Errorf("%s: error %q does not say %q of %s", tt.name, err, tt.says, path)
		}
	}
	below := &File{Path: "x", SourcePath: filepath.Join(dir, "m.onnx", "x")} // of a file: the reason is not that it is gone
	err := ReadFile(context.Background(), io.Discard, nil, below)
	wantCode(t, err, diag.UnreadableFile)
	if !strings.Contains(err.Error(), below.SourcePath) || strings.Contains(err.Error(), "publish folder") {
		t.Errorf("error %q does not name %s", err, below.SourcePath)
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// touch gives a file another time.
func touch(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	other := fi.ModTime().Add(1234567)
	return os.Chtimes(path, other, other)
}

func TestFolderLinks(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(outside, []byte("s"), 0o644))
	write(t, dir, "real/f", "f")
	for link, target := range map[string]string{
		"relative": "real/f", "absolute": filepath.Join(dir, "real", "f"), "folder": "real", "absfolder": filepath.Join(dir, "real"),
		"out": outside, "up": "../" + filepath.Base(filepath.Dir(outside)), "dangling": "nothing",
	} {
		must(t, os.Symlink(target, filepath.Join(dir, link)))
	}
	folder := folderAt(t, dir)
	for _, name := range []string{"real/f", "relative", "absolute", "folder/f", "absfolder/f"} {
		if got, err := fs.ReadFile(folder, name); err != nil || string(got) != "f" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for name, code := range map[string]diag.Code{"out": diag.SymlinkEscapes, "dangling": diag.FileChanged} {
		wantCode(t, ReadFile(context.Background(), io.Discard, folder, &File{Path: name, Size: 1}), code)
	}
	if _, err := folder.Open("../x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a path out of the folder: %v", err)
	}
}

func TestOpenFolderThatIsNone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "")
	for _, path := range []string{filepath.Join(dir, "missing"), filepath.Join(dir, "file")} {
		_, err := OpenFolder(path)
		wantCode(t, err, diag.PublishFolderMissing)
		if !strings.Contains(err.Error(), path) {
			t.Errorf("error %q does not name %s", err, path)
		}
	}
}
