package scan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOwnOutputs has outputs of Gantry in the publish folder, made before the scan or after it: the list is the same.
func TestOwnOutputs(t *testing.T) {
	const published = "a.dll b.json sub sub/c.txt"
	at := func(s *site, name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }
	own := func(names ...string) func(s *site) {
		return func(s *site) {
			for _, name := range names {
				s.req.OwnOutputPaths = append(s.req.OwnOutputPaths, at(s, name))
			}
		}
	}
	archive := func(path string) func(s *site) {
		return func(s *site) { s.req.ArchivePath, s.req.Repository = at(s, ".")+"/"+path, "team/app" }
	}
	tests := []struct {
		name  string
		set   func(s *site)
		write string // what the publish writes, in the folder
		want  string // more than what is published
		said  string // the first that is left out, empty for none
	}{
		{"nothing is named", func(*site) {}, "img.tar.gz", "img.tar.gz", ""},
		{"archive", archive("img.tar.gz"), "img.tar.gz", "", "img.tar.gz"},
		{"only that one", archive("img.tar.gz"), "img.tar.gz own/img.tar.gz img.tar.gz.txt", "img.tar.gz.txt own own/img.tar.gz", "img.tar.gz"},
		{"archive in folders of its own", archive("out/x/img.tar"), "out/x/img.tar", "", "out/x/img.tar"},
		{"beside somebody's file", archive("out/img.tar"), "out/img.tar out/x", "out out/x", "out/img.tar"},
		{"folder of archives", archive("images.d/"), "images.d/team/app.tar.gz images.d/other", "images.d images.d/other", "images.d/team/app.tar.gz"},
		{"no extension", archive("images"), "images/team/app.tar.gz", "", "images/team/app.tar.gz"},
		{"while it is written", archive("img.tar.gz"), ".img.tar.gz.123 .img.tar.gz.x", ".img.tar.gz.x", ".img.tar.gz.123"},
		{"layout", own("images"), "images/blobs/sha256/a images/index.json images/.gantry.lock", "", "images/.gantry.lock"},
		{"layout in the publish folder itself", own("."), "blobs/sha256/a index.json oci-layout .gantry.lock other", "other", ".gantry.lock"},
		{"layout around it", own(".."), "index.json", "index.json", ""},
		{"a name that begins alike", own("su", "..x"), "sux", "sux", ""},
		{"report and list", own("report.json", "refs.txt"), "report.json refs.txt .refs.txt.lock", "", ".refs.txt.lock"},
		{"a published file", own("a.dll", "sub"), "sub/x", "", "sub/x"},
		{"names that no layer can hold", own("images"), "images/.wh.x", "", "images/.wh.x"},
	}
	all := together{T: t}
	defer all.Wait()
	for _, tt := range tests {
		all.run(tt.name, func(t *testing.T) {
			s := newSite(t)
			tt.set(s)
			for _, written := range []bool{false, true, true} {
				got, err := s.tryScan()
				must(t, err)
				want := map[string]bool{}
				for _, name := range strings.Fields(published + map[bool]string{true: " " + tt.want}[written]) {
					want[name] = true
				}
				for _, f := range got.Files {
					if !want[f.Path] {
						t.Errorf("%s is in the list", f.Path)
					}
					delete(want, f.Path)
				}
				if len(want) > 0 {
					t.Errorf("the list has no %v", want)
				}
				if n := strings.Count(s.log.String(), "Gantry's own output"); (n == 1) != (written && tt.said != "") || n > 1 {
					t.Errorf("said %d times:\n%s", n, s.log.String())
				} else if n == 1 {
					s.says("first=" + tt.said)
				}
				s.silent()
				for _, name := range strings.Fields(tt.write) {
					write(t, s.dir, name, "a larger one each time"+s.log.String())
				}
			}
		})
	}
}

// TestOwnOutputs_folder has an empty folder of somebody in which the archive lands: the list does not change with that, and when the
// archive goes elsewhere the folder is in the list.
func TestOwnOutputs_folder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, os.Mkdir(s.path("out"), 0o755))
	s.req.ArchivePath, s.req.Repository = s.path("out/img.tar"), "app"
	for range 2 {
		if got, err := s.tryScan(); err != nil || paths(got) != "a.dll b.json sub sub/c.txt" {
			t.Errorf("got %v, %v", got, err)
		}
		write(t, s.dir, "out/img.tar", "image")
	}
	must(t, os.Remove(s.path("out/img.tar")))
	s.req.ArchivePath = filepath.Join(t.TempDir(), "img.tar")
	if got, err := s.tryScan(); err != nil || paths(got) != "a.dll b.json out sub sub/c.txt" {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestOwnOutputs_links reaches the archive on other ways than it is named.
func TestOwnOutputs_links(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := filepath.Join(t.TempDir(), "publish")
	must(t, os.Symlink(s.dir, other))
	write(t, s.dir, "out/img.tar", "image")
	write(t, filepath.Dir(s.dir), "far.tar", "image")
	must(t, os.Symlink("out", s.path("folder")))
	must(t, os.Symlink("out/img.tar", s.path("file")))
	must(t, os.Symlink("../far.tar", s.path("away.tar"))) // a link that leads out of the folder is refused when it is no output
	s.req.OwnOutputPaths = []string{filepath.Join(other, "out", "img.tar"), filepath.Join(other, "away.tar")}
	for _, folder := range []string{s.dir, other} {
		s.req.FolderPath = folder
		if got, err := s.tryScan(); err != nil || paths(got) != "a.dll b.json sub sub/c.txt" {
			t.Errorf("%s: got %v, %v", folder, got, err)
		}
	}
}
