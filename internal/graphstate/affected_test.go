package graphstate

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
)

// checkout is a git repository with one commit: two images, a context each, and a file that one reads through a link.
type checkout struct {
	t   *testing.T
	dir string
}

func newCheckout(t *testing.T) *checkout {
	t.Helper()
	testenv.Require(t, "git")
	c := &checkout{t: t, dir: filepath.Join(t.TempDir(), "repo")}
	// Git reads no settings of this machine or user, and commits under a name.
	for name, value := range map[string]string{
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
		"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
	} {
		t.Setenv(name, value)
	}
	for name, content := range map[string]string{
		"list.toml": "1", "a/Dockerfile": "FROM scratch\nCOPY src /\n", "a/src/x.txt": "x", "a/src/deep/y.txt": "y", "a/README.md": "readme",
		"a/.dockerignore": "**/*.log\n", "b/Dockerfile": "FROM scratch\nCOPY *.txt shared /\n", "b/z.txt": "z", "b/lib/c.txt": "c", "common/c.txt": "c", ".gitignore": "ignored\n",
	} {
		c.file(name, content)
	}
	if err := os.Symlink("lib/c.txt", filepath.Join(c.dir, "b/shared")); err != nil {
		t.Fatal(err)
	}
	c.git("init", "-q")
	c.commit("first")
	return c
}

func (c *checkout) file(name, content string) {
	c.t.Helper()
	testenv.WriteFile(c.t, filepath.Join(c.dir, name), content)
}

func (c *checkout) git(args ...string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "git", args...)
	cmd.Dir = c.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (c *checkout) commit(message string) {
	c.git("add", "-A")
	c.git("commit", "-q", "-m", message)
}

// reached is what the two images read now.
func (c *checkout) reached() []Reached {
	c.t.Helper()
	store := buildcontext.NewStore("")
	var list []Reached
	for name, patterns := range map[string][]buildcontext.Pattern{"a": {{Path: "src"}}, "b": {{Path: "*.txt"}, {Path: "shared"}}} {
		dir := filepath.Join(c.dir, name)
		dockerfile := filepath.Join(dir, "Dockerfile")
		r := Reached{Name: name, Files: []string{dockerfile, filepath.Join(c.dir, "list.toml")}}
		rc := &ReachedContext{Dir: dir, Dockerfile: dockerfile, Patterns: patterns}
		folder, err := store.Open(dir, dockerfile)
		if err != nil {
			c.t.Fatal(err)
		}
		if rc.Entries, err = folder.Files(c.t.Context(), patterns); err != nil && diag.CodeOf(err) != diag.MissingContextFile {
			c.t.Fatal(err) // a build with a file missing fails, and its image is affected all the same
		}
		r.Contexts = []*ReachedContext{rc}
		list = append(list, r)
	}
	return list
}

func (c *checkout) affected(since string) *Affected {
	c.t.Helper()
	a, err := FindAffected(c.t.Context(), &Git{Dir: c.dir}, since, c.reached())
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// copied is a checkout like another, whose git repository was made once.
func (c *checkout) copied(t *testing.T) *checkout {
	t.Helper()
	other := &checkout{t: t, dir: filepath.Join(t.TempDir(), "repo")}
	if err := os.CopyFS(other.dir, os.DirFS(c.dir)); err != nil {
		t.Fatal(err)
	}
	return other
}

// affectedCase is a change, and the images that it is of: image=file, sorted.
type affectedCase struct {
	change func(c *checkout)
	want   string
}

func TestFindAffected(t *testing.T) {
	newCheckout(t).changes(map[string]affectedCase{
		"nothing":                     {func(*checkout) {}, ""},
		"a file in the working tree":  {func(c *checkout) { c.file("a/src/x.txt", "X") }, "a=a/src/x.txt"},
		"a file that is staged":       {func(c *checkout) { c.file("a/src/x.txt", "X"); c.git("add", "-A") }, "a=a/src/x.txt"},
		"a file that is committed":    {func(c *checkout) { c.file("a/src/deep/y.txt", "Y"); c.commit("second") }, "a=a/src/deep/y.txt"},
		"there and back":              {func(c *checkout) { c.file("a/src/x.txt", "X"); c.commit("second"); c.file("a/src/x.txt", "x") }, ""},
		"touched":                     {func(c *checkout) { c.file("a/src/x.txt", "x") }, ""},
		"a mode":                      {func(c *checkout) { os.Chmod(filepath.Join(c.dir, "a/src/x.txt"), 0o755) }, "a=a/src/x.txt"},
		"a new file":                  {func(c *checkout) { c.file("a/src/new\tfile.txt", "n") }, "a=a/src/new\tfile.txt"},
		"a new file by wildcard":      {func(c *checkout) { c.file("b/ü.txt", "n") }, "b=b/ü.txt"},
		"a new file that is not read": {func(c *checkout) { c.file("b/new.md", "n") }, ""},
		"a file that is not read":     {func(c *checkout) { c.file("a/README.md", "R") }, ""},
		"a deleted file":              {func(c *checkout) { os.Remove(filepath.Join(c.dir, "a/src/x.txt")) }, "a=a/src/x.txt"},
		"a deleted file, committed":   {func(c *checkout) { os.Remove(filepath.Join(c.dir, "b/z.txt")); c.commit("second") }, "b=b/z.txt"},
		"a deleted file, not read":    {func(c *checkout) { os.Remove(filepath.Join(c.dir, "a/README.md")) }, ""},
		"a deleted folder":            {func(c *checkout) { os.RemoveAll(filepath.Join(c.dir, "a/src")) }, "a=a/src/deep/y.txt"},
		"moved away":                  {func(c *checkout) { c.git("mv", "a/src/x.txt", "common/x.txt") }, "a=a/src/x.txt"},
		"moved here":                  {func(c *checkout) { c.git("mv", "common/c.txt", "b/c.txt") }, "b=b/c.txt"},
		"a Dockerfile":                {func(c *checkout) { c.file("b/Dockerfile", "FROM scratch\nCOPY *.txt shared /\n#\n") }, "b=b/Dockerfile"},
		"the list":                    {func(c *checkout) { c.file("list.toml", "2") }, "a=list.toml b=list.toml"},
		"an ignore file":              {func(c *checkout) { c.file("a/.dockerignore", "") }, "a=a/.dockerignore"},
		"a new ignore file":           {func(c *checkout) { c.file("b/Dockerfile.dockerignore", "") }, "b=b/Dockerfile.dockerignore"},
		"an ignore file that went":    {func(c *checkout) { os.Remove(filepath.Join(c.dir, "a/.dockerignore")) }, "a=a/.dockerignore"},
		"behind a link":               {func(c *checkout) { c.file("b/lib/c.txt", "C") }, "b=b/lib/c.txt"},
		"what .gitignore names":       {func(c *checkout) { c.file("a/src/ignored", "i") }, ""},
	})
}

// TestFindAffected_git: what git has beside files that change.
func TestFindAffected_git(t *testing.T) {
	first := newCheckout(t)
	first.changes(map[string]affectedCase{
		"a conflict": {func(c *checkout) {
			c.git("checkout", "-q", "-b", "other")
			c.file("a/src/x.txt", "theirs")
			c.commit("theirs")
			c.git("checkout", "-q", "-")
			c.file("a/src/x.txt", "ours")
			c.commit("ours")
			cmd := exec.CommandContext(c.t.Context(), "git", "merge", "other")
			cmd.Dir = c.dir
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "CONFLICT") {
				c.t.Fatalf("%v\n%s", err, out)
			}
		}, "a=a/src/x.txt"},
		// A repository within the checkout is one thing to git, of which it tells neither what was committed in it nor what is new.
		"a repository within": {func(c *checkout) {
			c.file("a/src/inner/f", "1")
			inner := &checkout{t: c.t, dir: filepath.Join(c.dir, "a/src/inner")}
			inner.git("init", "-q")
			inner.commit("inner")
		}, "a=a/src/inner"},
		"a submodule": {func(c *checkout) {
			c.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "file://"+first.dir, "a/src/sub")
			c.commit("second, committed")
			c.file("a/src/sub/a/README.md", "R")
		}, "a=a/src/sub"},
		"a file that a submodule does not have yet": {func(c *checkout) {
			c.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "file://"+first.dir, "a/src/sub")
			c.commit("second, committed")
			c.file("a/src/sub/new", "n")
		}, "a=a/src/sub"},
		// Settings of the repository and of the environment change nothing.
		"settings": {func(c *checkout) {
			c.git("config", "diff.external", "false")
			c.git("config", "diff.relative", "true")
			c.git("config", "diff.ignoreSubmodules", "all")
			c.git("config", "core.fsmonitor", "false-hook")
			c.git("config", "status.showUntrackedFiles", "no")
			c.t.Setenv("GIT_EXTERNAL_DIFF", "false")
			c.t.Setenv("GIT_DIR", first.dir+"/.git")
			c.t.Setenv("GIT_WORK_TREE", first.dir)
			c.t.Setenv("GIT_INDEX_FILE", first.dir+"/none")
			c.file("a/src/x.txt", "X")
		}, "a=a/src/x.txt"},
	})
}

// changes makes each change in a checkout of its own.
func (c *checkout) changes(cases map[string]affectedCase) {
	for name, tc := range cases {
		c.t.Run(name, func(t *testing.T) {
			c := c.copied(t)
			tc.change(c)
			since := "HEAD"
			if strings.Contains(name, "committed") || name == "there and back" {
				since = "HEAD~1"
			}
			a := c.affected(since)
			if a.ByHash || a.Message != "" {
				t.Fatalf("got %+v", a)
			}
			c.found(a, tc.want)
		})
	}
}

// found compares images and files.
func (c *checkout) found(a *Affected, want string) {
	c.t.Helper()
	root, err := filepath.EvalSymlinks(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	var list []string
	for _, i := range a.Images {
		rel, err := filepath.Rel(root, i.File)
		if err != nil {
			c.t.Fatal(err)
		}
		list = append(list, i.Name+"="+filepath.ToSlash(rel))
	}
	slices.Sort(list)
	if got := strings.Join(list, " "); got != want {
		c.t.Errorf("got %q, want %q", got, want)
	}
}

// TestFindAffected_where: the folder of the list may be below the repository's, or a work tree of it, or have what is read elsewhere.
func TestFindAffected_where(t *testing.T) {
	c := newCheckout(t)
	c.file("b/z.txt", "Z")
	reached := func(dir string) []Reached {
		return []Reached{
			{
				Name: "Dockerfile elsewhere", Files: []string{filepath.Join(dir, "b/Dockerfile")},
				Contexts: []*ReachedContext{{Dir: filepath.Join(dir, "a"), Dockerfile: filepath.Join(dir, "b/Dockerfile")}},
			},
			{Name: "file above", Contexts: []*ReachedContext{{Dir: dir, Patterns: []buildcontext.Pattern{{Path: "b/z.txt"}}}}},
			{Name: "outside", Files: []string{"/none/Dockerfile"}, Contexts: []*ReachedContext{{Dir: t.TempDir(), Patterns: []buildcontext.Pattern{{Path: "."}}}}},
		}
	}
	find := func(dir, since string, r []Reached) *Affected {
		t.Helper()
		a, err := FindAffected(t.Context(), &Git{Dir: dir}, since, r)
		if err != nil || a.ByHash {
			t.Fatalf("got %+v, %v", a, err)
		}
		return a
	}
	c.found(find(filepath.Join(c.dir, "a/src"), "HEAD", reached(c.dir)), "file above=b/z.txt")
	c.file("b/Dockerfile", "FROM scratch\n")
	c.found(find(filepath.Join(c.dir, "a"), "HEAD", reached(c.dir)), "Dockerfile elsewhere=b/Dockerfile file above=b/z.txt")

	tree := &checkout{t: t, dir: filepath.Join(t.TempDir(), "tree")}
	c.git("worktree", "add", "-q", tree.dir)
	tree.found(find(tree.dir, "HEAD", reached(tree.dir)), "")
	tree.file("b/z.txt", "Z")
	tree.commit("in the tree")
	tree.found(find(tree.dir, "HEAD~1", reached(tree.dir)), "file above=b/z.txt")
}

// When git cannot tell, it is said, and the hashes decide.
func TestFindAffected_byHash(t *testing.T) {
	c := newCheckout(t)
	c.file("a/src/x.txt", "X")
	c.commit("second")
	shallow := &checkout{t: t, dir: filepath.Join(t.TempDir(), "shallow")}
	c.git("clone", "-q", "--depth=1", "file://"+c.dir, shallow.dir)
	bare := filepath.Join(t.TempDir(), "bare")
	c.git("clone", "-q", "--bare", "file://"+c.dir, bare)
	born := t.TempDir()
	(&checkout{t: t, dir: born}).git("init", "-q")
	written := filepath.Join(t.TempDir(), "written")
	for name, tc := range map[string]struct {
		git   Git
		since string
		why   string
	}{
		"a shallow clone":           {Git{Dir: shallow.dir}, "HEAD", "shallow"},
		"an unknown revision":       {Git{Dir: c.dir}, "nowhere", `"nowhere" is not known`},
		"an option":                 {Git{Dir: c.dir}, "--all", "is not known"},
		"an option with a program":  {Git{Dir: c.dir}, "--upload-pack=touch " + written, "is not known"},
		"an option with a file":     {Git{Dir: c.dir}, "--output=" + written, "is not known"},
		"an option behind a line":   {Git{Dir: c.dir}, "HEAD\n--output=" + written, "is not known"},
		"an option with a time":     {Git{Dir: c.dir}, "--since=2020-01-01", "is not known"},
		"a range":                   {Git{Dir: c.dir}, "HEAD~1..HEAD", "is not known"},
		"a range of both":           {Git{Dir: c.dir}, "HEAD~1...HEAD", "is not known"},
		"a revision and no more":    {Git{Dir: c.dir}, "HEAD~1..", "is not known"},
		"a revision of no commit":   {Git{Dir: c.dir}, "HEAD:a", "is not known"},
		"no revision":               {Git{Dir: c.dir}, "", "no revision"},
		"no checkout":               {Git{Dir: t.TempDir()}, "HEAD", "not a git repository"},
		"a repository without tree": {Git{Dir: bare}, "HEAD", "work tree"},
		"no commit":                 {Git{Dir: born}, "HEAD", `"HEAD" is not known`},
		"no git":                    {Git{Dir: c.dir, Program: "git-that-is-not-there"}, "HEAD", "executable file not found"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := FindAffected(t.Context(), &tc.git, tc.since, c.reached())
			if err != nil || !a.ByHash || len(a.Images) > 0 || !strings.Contains(a.Message, tc.why) || !strings.HasPrefix(a.Message, "GANTRY6042: ") {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
	if _, err := os.Stat(written); !os.IsNotExist(err) {
		t.Errorf("a revision became an option: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := FindAffected(ctx, &Git{Dir: c.dir}, "HEAD", nil)
	wantCode(t, err, diag.Interrupted)
}

// A checkout of somebody else's, which git refuses to read, is judged by its hashes, and git says how to allow it.
func TestFindAffected_ofAnother(t *testing.T) {
	testenv.RequireRoot(t)
	c := newCheckout(t)
	for _, name := range []string{"", ".git"} {
		if err := os.Chown(filepath.Join(c.dir, name), 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SUDO_UID", "")
	c.file("a/src/x.txt", "X")
	a := c.affected("HEAD")
	if !a.ByHash || !strings.Contains(a.Message, "dubious ownership") {
		t.Errorf("got %+v", a)
	}
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "safe.directory")
	t.Setenv("GIT_CONFIG_VALUE_0", "*")
	c.found(c.affected("HEAD"), "a=a/src/x.txt")
}

// A context whose files are not known, as one is missing, counts by the names that are asked for.
func TestAsks(t *testing.T) {
	for _, tc := range []struct {
		pattern buildcontext.Pattern
		file    string
		want    bool
	}{
		{buildcontext.Pattern{Path: "."}, "a/b", true},
		{buildcontext.Pattern{Path: "/a/"}, "a/b", true},
		{buildcontext.Pattern{Path: "a"}, "ab", false},
		{buildcontext.Pattern{Path: "../a"}, "a", true},
		{buildcontext.Pattern{Path: "*.txt"}, "a.txt", true},
		{buildcontext.Pattern{Path: "*.txt"}, "d/a.txt", false},
		{buildcontext.Pattern{Path: "d*/x"}, "dir/x/deep", true},
		{buildcontext.Pattern{Path: "*.txt", Literal: true}, "a.txt", false},
		{buildcontext.Pattern{Path: "src/**/x", Parents: true}, "src/a/b/x", true},
		{buildcontext.Pattern{Path: "src/**/x", Parents: true}, "lib/x", false},
		{buildcontext.Pattern{Path: "[a", Parents: false}, "x", true}, // it means nothing: the build fails
	} {
		if got := asks(tc.pattern, tc.file); got != tc.want {
			t.Errorf("%q reads %s: got %v", tc.pattern.Path, tc.file, got)
		}
	}
}
