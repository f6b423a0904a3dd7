// Package dockerfile says what a target of a Dockerfile reaches: every image, every git or http source, every pattern of files of a build
// context and every stage, each with the line that asks for it.
//
// Files are read by BuildKit's own parser. What a stage name, an index, a variable or a platform means is decided as BuildKit's Dockerfile
// frontend decides it (frontend/dockerfile/dockerfile2llb in moby/buildkit v0.34.2, called "the frontend" here), which the tests compare with
// what real builds ask a registry for. Nothing is built and no registry is asked: what only the image behind a FROM knows, its triggers and its
// environment, is asked of the caller.
//
// What cannot be known without building makes the answer incomplete, and each such thing is a Reason in Reach.Unknown: an image with a
// reason is never skipped. What the frontend refuses is an error with file and line.
package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/gantry-build/gantry/internal/diag"
)

// MaxBytes is the largest file that the frontend reads (frontend/dockerui/readfile.go): a message of 16 MiB.
const MaxBytes = 16 << 20

// File is one parsed Dockerfile. It is never changed, so any number of goroutines may ask it.
type File struct {
	name   string
	escape rune
	// syntax is the reference behind "# syntax=", and its line.
	syntax     string
	syntaxLine int
	// foreign is why a file of another frontend could not be parsed; its stages are not known then.
	foreign error
	args    []*instruction
	stages  []stage
	shared  shared
}

// instruction is one of the file's, with what the parser made of it.
type instruction struct {
	node *parser.Node
	cmd  instructions.Command
	// words are what write makes of the node, and mounts those of a RUN that no variable changes.
	words  func() string
	mounts func() ([]*instructions.Mount, error)
}

func newInstruction(node *parser.Node, cmd instructions.Command) *instruction {
	i := &instruction{node: node, cmd: cmd}
	i.words = sync.OnceValue(i.write)
	i.mounts = sync.OnceValues(func() ([]*instructions.Mount, error) {
		return i.expandMounts(func(word string) (string, error) { return word, nil })
	})
	return i
}

type stage struct {
	*instructions.Stage
	commands []*instruction
}

// Read reads and parses the Dockerfile at path. One that is called dockerfile is found as Dockerfile too.
func Read(path string) (*File, error) {
	fi, err := os.Stat(path)
	if lower := filepath.Join(filepath.Dir(path), "dockerfile"); os.IsNotExist(err) && filepath.Base(path) == "Dockerfile" {
		if other, otherErr := os.Stat(lower); otherErr == nil {
			path, fi, err = lower, other, nil
		}
	}
	if err != nil {
		return nil, diag.Wrap(diag.InvalidDockerfile, err, "a Dockerfile cannot be read", "check the path and its rights")
	}
	if fi.Size() > MaxBytes {
		return nil, tooLarge(path, fi.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, diag.Wrap(diag.InvalidDockerfile, err, "a Dockerfile cannot be read", "check the path and its rights")
	}
	return Parse(path, data)
}

func tooLarge(name string, size int64) error {
	return diag.New(diag.InvalidDockerfile, fmt.Sprintf("%s has %d bytes, and BuildKit reads at most %d", name, size, MaxBytes),
		"is it a Dockerfile?")
}

// Parse parses a Dockerfile; name is what errors call it. A file whose "# syntax=" names a frontend that is not docker/dockerfile may be of any
// form: it is no error that it does not parse.
func Parse(name string, data []byte) (*File, error) {
	if len(data) > MaxBytes {
		return nil, tooLarge(name, int64(len(data)))
	}
	f := &File{name: name}
	if ref, _, at, ok := parser.DetectSyntax(data); ok {
		f.syntax, f.syntaxLine = ref, firstLine(at)
	}
	err := f.parse(data)
	if err != nil && f.syntax != "" && !isDockerfileFrontend(f.syntax) {
		f.foreign, err = err, nil
	}
	return f, err
}

func (f *File) parse(data []byte) error {
	if len(data) == 0 {
		return f.errorf(0, "it is empty")
	}
	parsed, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return f.fail(0, err)
	}
	f.escape = parsed.EscapeToken
	for _, n := range parsed.AST.Children {
		if err := f.add(n); err != nil {
			return err
		}
	}
	if len(f.stages) == 0 {
		return f.errorf(0, "it has no FROM")
	}
	return nil
}

// add is what instructions.Parse does with a node, which forgets the node.
func (f *File) add(n *parser.Node) error {
	n.PrevComment = nil // of no use here, and "# check=" in it needs a linter (instructions.ParseInstruction panics)
	parsed, err := instructions.ParseInstruction(n)
	if err != nil {
		return f.fail(n.StartLine, err)
	}
	if s, ok := parsed.(*instructions.Stage); ok {
		f.stages = append(f.stages, stage{Stage: s})
		return nil
	}
	cmd, ok := parsed.(instructions.Command)
	if !ok {
		return f.errorf(n.StartLine, "%s is no instruction", n.Value)
	}
	i := newInstruction(n, cmd)
	if len(f.stages) > 0 {
		last := &f.stages[len(f.stages)-1]
		last.commands = append(last.commands, i)
		return nil
	}
	if _, ok := cmd.(*instructions.ArgCommand); !ok {
		return f.errorf(n.StartLine, "%s before the first FROM", strings.ToUpper(n.Value))
	}
	f.args = append(f.args, i)
	return nil
}

// fail makes a coded error of what the parser says, at the line that it says, or else at line.
func (f *File) fail(line int, err error) error {
	var at *parser.LocationError
	if line == 0 && errors.As(err, &at) && len(at.Locations) > 0 {
		line = firstLine(at.Locations[0])
	}
	where := f.name
	if line > 0 {
		where = fmt.Sprintf("%s:%d", f.name, line)
	}
	return diag.Wrap(diag.InvalidDockerfile, err, where, "BuildKit would refuse it too")
}

func (f *File) errorf(line int, format string, args ...any) error {
	return f.fail(line, fmt.Errorf(format, args...))
}

func firstLine(at []parser.Range) int {
	if len(at) == 0 {
		return 0
	}
	return at[0].Start.Line
}

// isDockerfileFrontend says whether a frontend reads Dockerfiles as this package does: docker/dockerfile and its relatives, from Docker Hub or
// mirrored under the same name.
func isDockerfileFrontend(ref string) bool {
	name, _, _ := strings.Cut(ref, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	for _, known := range []string{"docker/dockerfile", "docker/dockerfile-upstream"} {
		if name == known || strings.HasSuffix(name, "/"+known) {
			return true
		}
	}
	return false
}
