// Package runner runs a stage: it reads the request, checks it, calls the stage and writes the response. All stages behave
// the same because there is one such path; the table in table.go says which stages there are.
//
// Requests are read strictly (package strictjson). Path fields, those whose JSON name ends in Path or Paths, may be relative to
// the request file's folder. Responses are the same bytes for the same answer: fields in order of declaration, two spaces of
// indent, a final newline, lists that are empty rather than null, and paths below the response's folder relative to it. A
// response file is replaced as a whole, after success and only when its bytes differ; on failure the earlier one stays.
//
// The package reads no environment variables and prints nothing; everything comes in with Env.
package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks"
)

// Request is what every stage's request type offers by embedding tasks.RequestHeader and by its Validate method.
type Request interface {
	Header() *tasks.RequestHeader
	Validate() error
}

// Response is what every stage's response type offers by embedding tasks.ResponseHeader.
type Response interface {
	ResponseOf() *tasks.ResponseHeader
}

// ExitStatus is an exit status that is an answer: the response was written, and says more. A Response chooses it by a method
// ExitCode() int; 0 is none.
type ExitStatus int

// Error names the status. Nobody should see it: it is no failure.
func (s ExitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// Status returns the ExitStatus of a response, nil when it has none.
func Status(resp Response) error {
	if r, ok := resp.(interface{ ExitCode() int }); ok && r.ExitCode() != diag.ExitOK {
		return ExitStatus(r.ExitCode())
	}
	return nil
}

// Stage is one row of the table.
type Stage struct {
	// Name is that of the command, and of the stage field in its documents.
	Name string
	// Summary, Reads, Writes and RunsWhen are for people: one phrase each, without a final period.
	Summary, Reads, Writes, RunsWhen string
	// OutputFields are the path fields of the request that name files to write. They are relative to the response's folder, and
	// the stage resolves them.
	OutputFields []string
	// NewRequest and NewResponse make empty documents.
	NewRequest  func() Request
	NewResponse func() Response

	run func(ctx context.Context, env *Env, outputDir string, req Request) (Response, error)
}

// Find returns the stage with a name.
func Find(stages []Stage, name string) (Stage, error) {
	for _, s := range stages {
		if s.Name == name {
			return s, nil
		}
	}
	return Stage{}, diag.New(diag.BadUsage, fmt.Sprintf("there is no stage %q", name), "gantry stages lists them")
}

// Files are the places of one call's documents. Dash stands for standard input and output.
type Files struct {
	Request, Response string
}

// Dash as a file name stands for standard input or output.
const Dash = "-"

// Exec runs a stage on files, as the command line does. The error is coded, and a request that cannot be used has a code of
// GANTRY1xxx; or it is an ExitStatus.
func (s Stage) Exec(ctx context.Context, env *Env, files Files) error {
	if files.Request != Dash && sameFile(env.Dir, files.Request, files.Response) {
		return diag.New(diag.BadUsage, "the request and the response are the same file", "name two files")
	}
	req, read, err := s.load(env, files.Request)
	if err != nil {
		return err
	}
	resp, err := s.write(ctx, env, req, files.Response, read)
	if err != nil {
		return err
	}
	return Status(resp)
}

// Write runs a stage on a request in memory, whose paths are absolute, and writes the response to a file.
func (s Stage) Write(ctx context.Context, env *Env, req Request, response string) (Response, error) {
	return s.write(ctx, env, req, response, nil)
}

// write validates, runs, fills the response's header and writes. read are the files that were read to make the request.
func (s Stage) write(ctx context.Context, env *Env, req Request, response string, read []tasks.FileDigest) (Response, error) {
	if err := validate(req); err != nil {
		return nil, err
	}
	env.Log.Debug("stage starts", "stage", s.Name)
	dir := outputDir(env, response)
	resp, err := s.run(ctx, env, dir, req)
	if err != nil {
		return nil, err
	}
	finish(s.Name, resp, dir, read)
	data, err := encode(resp)
	if err != nil {
		return nil, err
	}
	return resp, write(env, response, data)
}

// again runs a stage on an earlier request for the sake of the blobs that it makes; its response stays as it is.
func (s Stage) again(ctx context.Context, env *Env, request string) error {
	req, _, err := s.load(env, request)
	if err != nil {
		return err
	}
	if err := validate(req); err != nil {
		return err
	}
	_, err = s.run(ctx, env, filepath.Dir(request), req)
	return err
}

// validate makes one coded error of all that Validate finds, as one failure is one line.
func validate(req Request) error {
	err := req.Validate()
	if err == nil {
		return nil
	}
	var list interface{ Unwrap() []error }
	if !errors.As(err, &list) {
		return codedRequest(err)
	}
	problems := list.Unwrap()
	if len(problems) == 1 {
		return codedRequest(problems[0])
	}
	var texts []string
	for _, p := range problems {
		texts = append(texts, p.Error())
	}
	return diag.New(diag.CodeOf(codedRequest(err)), strings.Join(texts, "; and "), "")
}

// codedRequest gives a code to a Validate error that has none.
func codedRequest(err error) error {
	var coded *diag.Error
	if errors.As(err, &coded) {
		return err
	}
	return diag.Wrap(diag.InvalidValue, err, "the request cannot be used", "gantry schema STAGE shows what is expected")
}

func sameFile(dir, a, b string) bool { return absolute(dir, a) == absolute(dir, b) }

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

func outputDir(env *Env, response string) string {
	if response == Dash {
		return env.Dir
	}
	return filepath.Dir(absolute(env.Dir, response))
}

// readAtMost reads r to its end, but no more than limit+1 bytes, so that the reader's own limit can be told apart.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, limit+1))
}
