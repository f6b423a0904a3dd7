package graphrun

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/imagelist"
)

// Builder builds an image and pushes it under all its tags.
type Builder interface {
	Build(ctx context.Context, j *Job) (*Made, error)
}

// Job is one image to be built.
type Job struct {
	Spec *imagelist.Spec
	// Dockerfile is a file of this machine, also where the list itself has the text.
	Dockerfile string
	// Platforms are those to build for: at least one.
	Platforms []string
	// Pins are the parents as repository@sha256:…, by graph.Parent.Reference.
	Pins map[string]string
	// Dir is a folder for files of this build.
	Dir string

	image  *graph.Image
	stamp  *graphstate.Request
	forced bool
	log    *os.File // nil: what the programs print is not kept
	began  []string // what buildah says that stages begin with
}

// files makes those that a build needs, and the log, whose path it returns, in a folder; empty is none.
func (j *Job) files(logs string) (log string, err error) {
	if j.Spec.Inline != "" {
		j.Dockerfile = filepath.Join(j.Dir, "Dockerfile")
		if err := os.WriteFile(j.Dockerfile, []byte(j.Spec.Inline), 0o600); err != nil {
			return "", diag.Wrap(diag.BuilderUnusable, err, "the Dockerfile of "+j.Spec.Name, "check TMPDIR")
		}
	}
	if logs == "" {
		return "", nil
	}
	name := strings.ReplaceAll(url.PathEscape(j.Spec.Name), ":", "%3A") // which a name may have, and Windows no file
	if err = os.MkdirAll(logs, 0o755); err == nil {
		j.log, err = os.Create(filepath.Join(logs, name+".log"))
	}
	if err != nil {
		return "", diag.Wrap(diag.BuilderUnusable, err, "the log of the build of "+j.Spec.Name, "name another folder with --log-dir")
	}
	return j.log.Name(), nil
}

// Made is an image that was built and pushed.
type Made struct {
	// Digest is that of the manifest, or of the index.
	Digest  cas.Digest
	Builder graphstate.Builder
}

// Programs are what builders start programs with.
type Programs struct {
	// Env is the environment, NAME=value.
	Env []string
	// Extra are more arguments for the build.
	Extra []string
	// Output is told what the programs print, line by line with the image's name before it; nil is nobody. It is used by one at a time.
	Output io.Writer

	mu sync.Mutex
}

const (
	// tailLines is how much of what a program printed is told when it fails.
	tailLines = 20
	// grace is how long a program has to end after it was told to.
	grace = 3 * time.Second
)

// ambient are variables from which builders take what becomes a part of the image, and which no source hash has: a build argument, and labels of
// git's. Who wants them writes them into the list.
var ambient = []string{"SOURCE_DATE_EPOCH", "BUILDX_GIT_LABELS"}

// environment is that of a program. A command of the user's gets all of it.
func (p *Programs) environment(program string) []string {
	env := slices.Clone(p.Env)
	if program != "docker" && program != "buildah" {
		return env
	}
	return slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(ambient, name)
	})
}

// start runs a program to its end, in a group of its own: when ctx ends, the group is told to end, and is ended after a while. It returns what
// was printed.
func (p *Programs) start(ctx context.Context, j *Job, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(p.environment(name), env...)
	cmd.WaitDelay = grace
	out := &output{to: p, job: j, prefix: "[" + j.Spec.Name + "] "}
	cmd.Stdout, cmd.Stderr = out, out
	ownGroup(cmd)
	err := cmd.Run()
	endGroup(cmd) // what it left behind
	out.flush()
	text := out.all.String()
	switch {
	case err == nil:
		return text, nil
	case ctx.Err() != nil:
		return text, diag.Wrap(diag.Interrupted, ctx.Err(), "the build of "+j.Spec.Name, "run again")
	case cmd.ProcessState == nil:
		return text, diag.Wrap(diag.BuilderUnusable, err, "the builder of "+j.Spec.Name+" cannot be started", "install it, or name another with --builder")
	}
	what := fmt.Sprintf("the build of %s failed: %s: %v", j.Spec.Name, filepath.Base(name), err)
	if j.log != nil {
		what += "; all that it printed is in " + j.log.Name()
	}
	return text, &diag.Error{Code: diag.BuildFailed, What: what + "\n" + tail(text), Hint: ""}
}

func tail(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// maxOutput is how much of the output of a program is kept, in bytes: its end.
const maxOutput = 1 << 20

// output takes what a program prints.
type output struct {
	to     *Programs
	job    *Job
	prefix string
	all    bytes.Buffer
	line   []byte
}

func (o *output) Write(b []byte) (int, error) {
	if o.all.Len() > 2*maxOutput {
		o.all.Next(o.all.Len() - maxOutput)
	}
	o.all.Write(b)
	o.line = append(o.line, b...)
	for {
		i := bytes.IndexByte(o.line, '\n')
		if i < 0 {
			return len(b), nil
		}
		o.print(o.line[:i+1])
		o.line = o.line[i+1:]
	}
}

func (o *output) flush() {
	if len(o.line) > 0 {
		o.print(append(o.line, '\n'))
		o.line = nil
	}
}

func (o *output) print(line []byte) {
	if m := step.FindSubmatch(line); m != nil {
		o.job.began = append(o.job.began, string(m[1]))
	}
	if o.job.log != nil {
		_, _ = o.job.log.Write(line) // a full disk fails no build
	}
	if o.to.Output == nil {
		return
	}
	o.to.mu.Lock()
	defer o.to.mu.Unlock()
	_, _ = o.to.Output.Write(append([]byte(o.prefix), line...)) // what cannot be shown fails no build
}

// file reads a file that a program wrote.
func (j *Job) file(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(j.Dir, name))
	if err != nil {
		return nil, diag.Wrap(diag.BuildFailed, err, "the builder of "+j.Spec.Name+" did not write what it has to", "see what it printed")
	}
	return data, nil
}

func (j *Job) digest(name string) (cas.Digest, error) {
	data, err := j.file(name)
	if err != nil {
		return "", err
	}
	d, err := cas.ParseDigest(strings.TrimSpace(string(data)))
	if err != nil {
		return "", diag.Wrap(diag.BuildFailed, err, "the digest that the builder of "+j.Spec.Name+" wrote", "see what it printed")
	}
	return d, nil
}

// common are the arguments that buildah bud and docker buildx build have in common.
func (j *Job) common(contexts map[string]string) ([]string, error) {
	args := []string{"--file", j.Dockerfile, "--platform", strings.Join(j.Platforms, ",")}
	if j.Spec.Target != "" {
		args = append(args, "--target", j.Spec.Target)
	}
	for _, name := range slices.Sorted(maps.Keys(j.Spec.Args)) {
		if value := j.Spec.Args[name]; value != nil {
			args = append(args, "--build-arg", name+"="+*value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(contexts)) {
		args = append(args, "--build-context", name+"="+contexts[name])
	}
	more, err := options(j.Spec)
	return append(args, more...), err
}

// context is the last argument of a build.
func (j *Job) context() string { return cmp.Or(j.Spec.Context, ".") }
