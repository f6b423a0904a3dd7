package buildcontext

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/testenv"
)

// TestFiles_buildah compares with what a real build copies: each pattern into a folder of its own, all in one build. Where buildah differs
// from BuildKit (wildcards of nothing, links on the way of a wildcard, brackets in names) there is no pattern here.
func TestFiles_buildah(t *testing.T) {
	testenv.Require(t, "buildah")
	testenv.RequireRoot(t)
	patterns := []string{
		"a.txt", "/b.txt", "*.txt", "dir", "dir/", "dir/sub", "[ab].txt", "link", "chain", "dirlink/sub", "deep", "*/one/y.c", "d*/z.c", ".",
	}
	for _, test := range []struct {
		ignore   string
		patterns []string
	}{
		{"", patterns},
		{"c.md\ndir/sub\n**/*.h\n", []string{".", "dir"}},
		{"*\n!dir/sub/*.md\n!deep\ndeep/one/two\n", []string{"deep", ".", "*/one/y.c"}},
		{"**/*.txt\n!a.txt\n!**/sub/c.txt", []string{".", "dir/sub/*.txt"}},
	} {
		dir := tree(t, slices.DeleteFunc(slices.Clone(files), func(f string) bool {
			return strings.HasPrefix(f, "[x]") || strings.HasPrefix(f, "broken") || strings.HasPrefix(f, "loop") || strings.HasPrefix(f, "out")
		})...)
		write(t, test.ignore, dir, ".dockerignore")
		copied := build(t, dir, test.patterns)
		c, err := NewStore("").Open(dir, "")
		must(t, err)
		for i, p := range test.patterns {
			entries, err := c.Files(context.Background(), []Pattern{{Path: p}})
			must(t, err)
			var got []string
			for _, e := range entries {
				if e.Mode.IsRegular() {
					got = append(got, string(e.Digest))
				}
			}
			slices.Sort(got)
			slices.Sort(copied[i])
			if !slices.Equal(got, copied[i]) {
				t.Errorf("ignore %q, COPY %s: got %d files, %s; buildah copied %d", test.ignore, p, len(got), show(entries, files...), len(copied[i]))
			}
		}
	}
}

// build returns the digests of the regular files that each pattern copies.
func build(t *testing.T, dir string, patterns []string) map[int][]string {
	t.Helper()
	root, err := os.MkdirTemp("", "gb")
	must(t, err)
	defer os.RemoveAll(root)
	var text strings.Builder
	text.WriteString("FROM scratch\n")
	for i, p := range patterns {
		fmt.Fprintf(&text, "COPY %s /%d/\n", p, i)
	}
	write(t, text.String(), root, "Dockerfile")
	storage := []string{"--root", filepath.Join(root, "root"), "--runroot", filepath.Join(root, "run"), "--storage-driver", "vfs"}
	for _, args := range [][]string{
		{"bud", "--isolation", "chroot", "-t", "x", "-f", filepath.Join(root, "Dockerfile"), dir},
		{"push", "x", "dir:" + filepath.Join(root, "out")},
	} {
		if out, err := exec.Command("buildah", slices.Concat(storage, args)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s%s", err, text.String(), out)
		}
	}
	return layers(t, filepath.Join(root, "out"))
}

func layers(t *testing.T, dir string) map[int][]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	must(t, err)
	var manifest struct{ Layers []struct{ Digest cas.Digest } }
	must(t, json.Unmarshal(data, &manifest))
	copied := map[int][]string{}
	for _, l := range manifest.Layers {
		f, err := os.Open(filepath.Join(dir, l.Digest.Hex()))
		must(t, err)
		defer f.Close()
		var in io.Reader = f
		if z, err := gzip.NewReader(f); err == nil {
			in = z
		} else {
			_, err = f.Seek(0, io.SeekStart)
			must(t, err)
		}
		for r := tar.NewReader(in); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			must(t, err)
			if h.Typeflag != tar.TypeReg {
				continue
			}
			content, err := io.ReadAll(r)
			must(t, err)
			var i int
			_, err = fmt.Sscanf(h.Name, "%d/", &i)
			must(t, err)
			copied[i] = append(copied[i], string(cas.DigestOf(content)))
		}
	}
	return copied
}
