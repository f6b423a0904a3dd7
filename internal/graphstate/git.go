package graphstate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// Git is a checkout. The zero value is that of the working folder.
type Git struct {
	// Dir is a folder of the checkout.
	Dir string
	// Program is the path of git; empty is the one on PATH.
	Program string
}

// Changes are the files that are not what they were at a revision: committed since, staged, changed in the working tree, deleted, or new.
// Of a file that was moved both names are there. Paths are absolute, sorted; links in the checkout's own path are resolved.
//
// Files that git does not see, those that .gitignore names before all, are not there: whoever asks must have another way to find them.
// The error, when git cannot tell, says why: a clone without history, a revision that is not there, no checkout, no git.
func (g *Git) Changes(ctx context.Context, since string) ([]string, error) {
	if since == "" {
		return nil, errors.New("no revision is given")
	}
	answer, err := g.run(ctx, "rev-parse", "--show-toplevel", "--is-shallow-repository")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(answer), "\r\n", "\n"), "\n"), "\n")
	root, shallow := filepath.FromSlash(strings.Join(lines[:len(lines)-1], "\n")), lines[len(lines)-1]
	if shallow != "false" {
		return nil, errors.New("the clone is shallow: it has a part of the history only")
	}
	commit, err := g.commit(ctx, since)
	if err != nil {
		return nil, err
	}
	// A file that was moved is one deleted and one new, whatever git thinks of how alike they are.
	tracked, err := g.run(ctx, "-C", root, "diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-relative",
		"--ignore-submodules=none", commit, "--")
	if err != nil {
		return nil, err
	}
	untracked, err := g.run(ctx, "-C", root, "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	var list []string
	for name := range strings.SplitSeq(string(tracked)+string(untracked), "\x00") {
		if name != "" {
			list = append(list, filepath.Join(root, filepath.FromSlash(name)))
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// commit is the digest of the commit that a revision names, which is no option to git.
func (g *Git) commit(ctx context.Context, since string) (string, error) {
	commit, err := g.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", since+"^{commit}")
	if name := strings.TrimSpace(string(commit)); err == nil && name != "" {
		return name, nil
	}
	return "", errors.Join(fmt.Errorf("the revision %q is not known", since), ctx.Err())
}

// Show is a file, an absolute path in the checkout, as it was at a revision.
func (g *Git) Show(ctx context.Context, since, path string) ([]byte, error) {
	commit, err := g.commit(ctx, since)
	if err != nil {
		return nil, err
	}
	return g.run(ctx, "-C", filepath.Dir(path), "cat-file", "blob", commit+":./"+filepath.Base(path))
}

// local are variables of the environment that name another repository, index or history than the one that Dir is in, as git sets them for its
// hooks (git rev-parse --local-env-vars). Those that only configure git stay: safe.directory may be among them.
var local = []string{
	"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CEILING_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE",
	"GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
}

// run runs git without what could write, ask or start other programs.
func (g *Git) run(ctx context.Context, args ...string) ([]byte, error) {
	program := g.Program
	if program == "" {
		program = "git"
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"-c", "core.fsmonitor=false", "-c", "core.quotePath=false"}, args...)...)
	cmd.Dir = g.Dir
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(local, name)
	})
	cmd.Env = append(env, "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if ctx.Err() != nil {
		return nil, diag.Wrap(diag.Interrupted, ctx.Err(), "ask git what changed", "run again")
	}
	if line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n"); line != "" {
		return nil, errors.New(strings.TrimPrefix(line, "fatal: "))
	}
	return nil, err
}
