package imagediff

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/clrmeta"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
)

// withFolder compares the files under an image's working directory with those of a folder. Modes, owners and times of a folder never
// reach an image and do not count.
func withFolder(ctx context.Context, r *Report, a, b *side, platform string) error {
	if platform == "" {
		platform = defaultPlatform
	}
	s, dir := a, b.folder
	if a.folder != "" {
		s, dir = b, a.folder
	}
	p, err := s.image(ctx, platform)
	if err != nil {
		return err
	}
	all, err := p.above(ctx, 0)
	if err != nil {
		return err
	}
	root := p.workingDirectory()
	folder, err := layer.OpenFolder(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	local, err := readFolder(ctx, folder, root)
	if err != nil {
		return err
	}
	img := imageFiles{p, all.under(root)}
	if err := sameEndpoints(ctx, img, local); err != nil {
		return err
	}
	f := &fileComparison{r: r, root: root, a: img, b: local}
	if a.folder != "" {
		f.a, f.b = local, img
		r.B = p.subject()
	} else {
		r.A = p.subject()
	}
	return f.run(ctx)
}

// under returns the files in a folder; folders themselves are left out, as a layer keeps empty ones alone.
func (s scanned) under(root string) scanned {
	out := scanned{}
	for name, e := range s {
		if (root == "" || strings.HasPrefix(name, root+"/")) && e.kind != typeFolder && e.kind != typeDeleted && e.kind != typeOpaque {
			out[name] = e
		}
	}
	return out
}

// folderFiles is the tree of a folder, at the place of the working directory.
type folderFiles struct {
	folder *layer.Folder
	root   string
	all    scanned
}

func (t *folderFiles) files() scanned { return t.all }

func (t *folderFiles) contents(_ context.Context, names []string) (map[string][]byte, error) {
	out := map[string][]byte{}
	left := int64(maxContent)
	for _, name := range names {
		if left -= t.all[name].size; left < 0 {
			break
		}
		b, err := t.read(name)
		if err != nil {
			return nil, err
		}
		if cas.DigestOf(b) != t.all[name].digest {
			return nil, diag.New(diag.FileChanged, "the file "+shown(name)+" changed while it was read", "let no other build write to the folder, and run again")
		}
		out[name] = b
	}
	return out, nil
}

func (t *folderFiles) read(name string) ([]byte, error) {
	f, err := t.folder.Open(strings.TrimPrefix(strings.TrimPrefix(name, t.root), "/"))
	if err != nil {
		return nil, unreadable(name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, clrmeta.MaxSize+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	return b, nil
}

func unreadable(name string, err error) error {
	var coded *diag.Error
	if errors.As(err, &coded) {
		return err
	}
	return diag.Wrap(diag.UnreadableFile, err, "the file "+shown(name)+" cannot be read", "check its rights")
}

// maxFolderDepth ends links that lead in circles.
const maxFolderDepth = 64

func readFolder(ctx context.Context, folder *layer.Folder, root string) (*folderFiles, error) {
	t := &folderFiles{folder: folder, root: root, all: scanned{}}
	return t, t.walk(ctx, ".", 0)
}

// walk follows symbolic links, as a publish does.
func (t *folderFiles) walk(ctx context.Context, dir string, depth int) error {
	if depth > maxFolderDepth {
		return diag.New(diag.SymlinkLoop, "a symbolic link leads to a folder that it is in: "+shown(dir), "delete the link")
	}
	children, err := fs.ReadDir(t.folder, dir)
	if err != nil {
		return unreadable(dir, err)
	}
	for _, c := range children {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		name := path.Join(dir, c.Name())
		fi, err := fs.Stat(t.folder, name)
		if err != nil {
			return unreadable(name, err)
		}
		switch {
		case fi.IsDir():
			err = t.walk(ctx, name, depth+1)
		case fi.Mode().IsRegular():
			err = t.file(ctx, name)
		default:
			err = diag.New(diag.UnsupportedFile, shown(name)+" is neither a file nor a folder", "remove the device, pipe or socket")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *folderFiles) file(ctx context.Context, name string) error {
	f, err := t.folder.Open(name)
	if err != nil {
		return unreadable(name, err)
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, contextReader{ctx, f})
	if err != nil {
		return unreadable(name, err)
	}
	t.all[path.Join(t.root, name)] = &entry{kind: typeFile, size: n, digest: digestOf(hash.Sum(nil))}
	return nil
}

// maxEndpoints bounds the endpoint list of a web app, in bytes.
const maxEndpoints = 32 << 20

// sameEndpoints makes the endpoint lists of both sides comparable: the times in it are rewritten when an image is made.
func sameEndpoints(ctx context.Context, img imageFiles, local *folderFiles) error {
	var names []string
	for name, e := range local.all {
		rel := strings.TrimPrefix(strings.TrimPrefix(name, local.root), "/")
		if o := img.all[name]; layer.IsEndpoints(rel) && o != nil && e.size < maxEndpoints && o.size < maxEndpoints {
			names = append(names, name)
		}
	}
	x, err := img.contents(ctx, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		body, err := local.read(name)
		if err != nil {
			return err
		}
		noTime := func(string) int64 { return 0 }
		p, err1 := layer.RewriteEndpoints(x[name], noTime)
		q, err2 := layer.RewriteEndpoints(body, noTime)
		if err1 == nil && err2 == nil {
			e := *img.all[name]
			e.digest, e.size = cas.DigestOf(p), int64(len(p))
			img.all[name] = &e
			local.all[name].digest, local.all[name].size = cas.DigestOf(q), int64(len(q))
		}
	}
	return nil
}
