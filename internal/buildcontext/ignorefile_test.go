package buildcontext

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
)

// TestIgnoreFile_link: BuildKit follows a link only inside the folder of the ignore file, whose root is /; buildah follows it anywhere. Where they
// come to different files, what is ignored is not known: then all files count, and what stands in the ignore file counts itself.
func TestIgnoreFile_link(t *testing.T) {
	const plain = "Dockerfile.dockerignore"
	for _, test := range []struct {
		name, link string
		ignores    bool
		counts     string // contents that count in place of it
	}{
		{".dockerignore", "in/ignore", true, ""},
		{".dockerignore", "in/../in/link", true, ""},
		{".dockerignore", "../ctx/in/ignore", false, "\x00a\n# in"},
		{".dockerignore", "../out", false, "\x00a\n# out"},
		{".dockerignore", "/in/ignore", false, "a\n# in\x00"},
		{".dockerignore", "nothing", false, ""},
		{".dockerignore", "in", false, ""},
		{".dockerignore", os.DevNull, false, ""},
		{plain, "in/ignore", true, ""},
		{plain, "../out", false, "\x00a\n# out"},
	} {
		top := tree(t, "ctx/a", "ctx/b", "ctx/Dockerfile", "ctx/in/link -> ignore")
		dir := filepath.Join(top, "ctx")
		write(t, "a\n# in", dir, "in", "ignore")
		write(t, "a\n# out", top, "out")
		must(t, os.Symlink(test.link, filepath.Join(dir, test.name)))
		dockerfile := ""
		if test.name == plain {
			dockerfile = filepath.Join(dir, "Dockerfile")
		}
		c, err := NewStore("").Open(dir, dockerfile)
		must(t, err)
		list, err := c.Files(context.Background(), []Pattern{{Path: "[ab]"}})
		must(t, err)
		seen, counts := false, cas.Digest("")
		for _, e := range list {
			seen = seen || e.Path == "a"
			if e.Mode == fs.ModeIrregular && e.Path == test.name {
				counts = e.Attributes
			}
		}
		want := cas.Digest("")
		if test.counts != "" {
			want = cas.DigestOf([]byte(test.counts))
		}
		if seen == test.ignores || counts != want {
			t.Errorf("%s -> %s: got %v", test.name, test.link, list)
		}
	}
}

// TestIgnoreFile_lower: where there is no Dockerfile, the ignore file is that of dockerfile, as for buildx.
func TestIgnoreFile_lower(t *testing.T) {
	for _, test := range []struct {
		files []string
		want  string
	}{
		{[]string{"dockerfile", "dockerfile.dockerignore", "Dockerfile.dockerignore"}, "dockerfile.dockerignore"},
		{[]string{"dockerfile", "Dockerfile.dockerignore"}, ""},
		{[]string{"Dockerfile", "dockerfile.dockerignore"}, ""},
		{[]string{"Dockerfile", "dockerfile", "Dockerfile.dockerignore", "dockerfile.dockerignore"}, "Dockerfile.dockerignore"},
		{[]string{"Dockerfile.dockerignore"}, "Dockerfile.dockerignore"},
		{[]string{"Dockerfile"}, ""},
	} {
		dir := tree(t, test.files...)
		path := filepath.Join(dir, "Dockerfile")
		got := filepath.Base(ownIgnore(path))
		if OwnIgnore(path) != (test.want != "") || test.want != "" && got != test.want {
			t.Errorf("%v: got %s", test.files, got)
		}
	}
	for _, own := range []string{"other.dockerignore", "other.containerignore"} {
		if dir := tree(t, "other", own); !OwnIgnore(filepath.Join(dir, "other")) {
			t.Errorf("%s is not found", own)
		}
	}
}

// TestIgnoreFile_container: buildah reads .containerignore, and BuildKit does not. Unless both say the same, all files count.
func TestIgnoreFile_container(t *testing.T) {
	for _, test := range []struct {
		files   map[string]string
		ignores bool
		doubts  string
	}{
		{map[string]string{".containerignore": "a"}, false, ".containerignore"},
		{map[string]string{".containerignore": "a", ".dockerignore": "a"}, true, ""},
		{map[string]string{".containerignore": "b", ".dockerignore": "a"}, false, ".containerignore .dockerignore"},
		{map[string]string{"Dockerfile.containerignore": "b", ".dockerignore": "a"}, false, ".dockerignore Dockerfile.containerignore"},
		{map[string]string{"Dockerfile.containerignore": "a", ".dockerignore": "a"}, true, ""},
		{map[string]string{"Dockerfile.dockerignore": "a", "Dockerfile.containerignore": "b", ".containerignore": "b"}, true, ""},
		{map[string]string{"Dockerfile.dockerignore": "", ".dockerignore": "a"}, false, ".dockerignore"},
		{map[string]string{"Dockerfile.dockerignore": ""}, false, ""},
		{map[string]string{".dockerignore": ""}, false, ""},
	} {
		dir := tree(t, "a", "b", "Dockerfile")
		for name, text := range test.files {
			write(t, text, dir, name)
		}
		c, err := NewStore("").Open(dir, filepath.Join(dir, "Dockerfile"))
		must(t, err)
		list, err := c.Files(context.Background(), []Pattern{{Path: "[ab]"}})
		must(t, err)
		var doubts []string
		for _, e := range list {
			if e.Mode == fs.ModeIrregular {
				doubts = append(doubts, e.Path)
			}
		}
		seen := slices.ContainsFunc(list, func(e Entry) bool { return e.Path == "a" })
		if seen == test.ignores || strings.Join(doubts, " ") != test.doubts {
			t.Errorf("%v: got %v", test.files, list)
		}
	}
	both := tree(t, "a", "b", ".containerignore -> .dockerignore")
	write(t, "a", both, ".dockerignore")
	if i, doubts, err := readIgnore(both, ""); err != nil || i == nil || doubts != nil {
		t.Errorf("a link from one to the other: %v, %v, %v", i, doubts, err)
	}
	dir := tree(t, "a")
	write(t, "a", dir, ".containerignore")
	c, err := NewStore("").Open(dir, "") // of a Dockerfile without an ignore file of its own
	must(t, err)
	if list, err := c.Files(context.Background(), []Pattern{{Path: "a"}}); err != nil || len(list) != 2 {
		t.Errorf("got %v, %v", list, err)
	}
}
