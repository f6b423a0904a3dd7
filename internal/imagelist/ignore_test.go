package imagelist

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestIgnored_asGit compares which Dockerfiles are found with which ones git would add, over trees and rules at random.
func TestIgnored_asGit(t *testing.T) {
	testenv.Require(t, "git")
	names := rapid.SampledFrom([]string{"a", "b", "ab", "c.d", "{a}"})
	pattern := rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "c.d", "*", "**", "a*", "?", "[ab]", "{a}", "Dockerfile", "Docker*", "*.d"}), 1, 3).Draw(t, "parts")
		return rapid.SampledFrom([]string{"", "", "!", "/", "!/"}).Draw(t, "begin") + strings.Join(parts, "/") +
			rapid.SampledFrom([]string{"", "", "/", " "}).Draw(t, "end")
	})
	gitDir := filepath.Join(t.TempDir(), "git")
	if out, err := exec.Command("git", "init", "-q", "--bare", gitDir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "ignore")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		write := func(name, text string) {
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				rt.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 6).Draw(rt, "files") {
			path := rapid.SliceOfN(names, 0, 3).Draw(rt, "folders")
			write(filepath.Join(strings.Join(path, "/"), "Dockerfile"), "FROM scratch\n")
			if len(path) > 0 && rapid.Bool().Draw(rt, "nested") {
				write(filepath.Join(path[0], ".gitignore"), pattern.Draw(rt, "rule")+"\n")
			}
		}
		write(".gitignore", strings.Join(rapid.SliceOfN(pattern, 1, 4).Draw(rt, "rules"), "\n"))
		want := gitFiles(rt, gitDir, dir)
		var got []string
		specs, err := Load(dir, Options{})
		if err != nil && len(want) > 0 {
			rt.Fatal(err)
		}
		for _, s := range specs {
			got = append(got, s.Origin)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			rt.Errorf("got %q, git has %q", got, want)
		}
	})
}

// gitFiles are the Dockerfiles that git sees.
func gitFiles(t *rapid.T, gitDir, dir string) []string {
	cmd := exec.Command("git", "-c", "core.bare=false", "--git-dir", gitDir, "--work-tree", dir, "ls-files", "-z", "-o", "--exclude-standard")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for line := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if filepath.Base(line) == "Dockerfile" {
			files = append(files, line)
		}
	}
	slices.Sort(files)
	return files
}

func TestDockerfileName(t *testing.T) {
	for name, want := range map[string]string{
		"Dockerfile": "=", "dockerfile": "=", "DOCKERFILE.Dev": "=dev", "web.Dockerfile": "=web", "a.b.dockerfile": "=a.b", "Dockerfile.a.b": "=a.b",
		"Dockerfile.": "", ".Dockerfile": "", "Dockerfiles": "", "MyDockerfile": "", "Dockerfile.dockerignore": "", "web.Dockerfile.dockerignore": "",
		"Dockerfile.j2": "", "Dockerfile.orig": "", "Dockerfile-dev": "", "": "",
		"Containerfile": "=", "containerfile.dev": "=dev", "web.Containerfile": "=web", "Containerfiles": "", "Containerfile.in": "",
		"dockerfile.go": "", "dockerfile.vim": "", "dockerfile_test.go": "", "containerfile.py": "", "Dockerfile.go": "=go", "dockerfile.prod": "=prod",
	} {
		got, ok := dockerfileName(name)
		if ok {
			got = "=" + got
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestRepositoryName(t *testing.T) {
	for dir, want := range map[string]string{
		"a": "a", "A/B.c": "a/b.c", "My App": "my-app", "a__b": "a_b", "a--b": "a-b", "-a-": "a", "../x": "x", "é": "image", "a.-b": "a.b", "a b/c!": "a-b/c",
	} {
		if got := repositoryName(dir); got != want {
			t.Errorf("%q: got %q, want %q", dir, got, want)
		}
	}
}
