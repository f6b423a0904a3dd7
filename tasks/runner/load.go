package runner

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/strictjson"
	"github.com/gantry-build/gantry/tasks"
)

// source is a request's text and where it came from.
type source struct {
	name string // for errors, as the caller wrote it
	dir  string // what relative paths are relative to
	data []byte
}

// load reads a request and the one that it extends, if any, and returns the files that were read.
//
// The extended request is decoded first, with its own paths and encoding, then this one over it: fields that are present
// here replace those there, lists as a whole. One level only: settings that come from a chain cannot be followed by a reader.
func (s Stage) load(env *Env, file string) (Request, []tasks.FileDigest, error) {
	own, read, err := open(env, file)
	if err != nil {
		return nil, nil, err
	}
	req := s.NewRequest()
	if err := s.decode(own, req); err != nil {
		return nil, nil, err
	}
	if base := req.Header().ExtendsPath; base != "" {
		var extended source
		var more []tasks.FileDigest
		if extended, more, err = open(env, absolute(own.dir, base)); err != nil {
			return nil, nil, err
		}
		read = append(read, more...)
		if req, err = s.decodeOver(extended, own); err != nil {
			return nil, nil, err
		}
	}
	resolvePaths(req, own.dir, s.OutputFields)
	return req, read, s.checkHeader(own.name, req.Header())
}

// decodeOver decodes extended, then own over it.
func (s Stage) decodeOver(extended, own source) (Request, error) {
	req := s.NewRequest()
	if err := s.decode(extended, req); err != nil {
		return nil, err
	}
	if req.Header().ExtendsPath != "" {
		return nil, diag.New(diag.InvalidValue, fmt.Sprintf("%s: extendsPath: a request that is extended extends another", extended.name),
			"put all shared fields into one file")
	}
	if err := s.checkHeader(extended.name, req.Header()); err != nil {
		return nil, err
	}
	resolvePaths(req, extended.dir, s.OutputFields)
	*req.Header() = tasks.RequestHeader{} // the header is each document's own
	return req, s.decode(own, req)
}

func (s Stage) decode(src source, req Request) error {
	return strictjson.Decode(src.name, src.data, req)
}

func (s Stage) checkHeader(name string, h *tasks.RequestHeader) error {
	if h.SchemaVersion != tasks.SchemaVersion {
		return diag.New(diag.UnsupportedSchema, fmt.Sprintf("%s: schemaVersion is %d, and this gantry reads %d", name, h.SchemaVersion, tasks.SchemaVersion),
			fmt.Sprintf("write \"schemaVersion\": %d", tasks.SchemaVersion))
	}
	if h.Stage != s.Name {
		return diag.New(diag.UnsupportedSchema, fmt.Sprintf("%s: stage is %q, and the command is %s", name, h.Stage, s.Name),
			fmt.Sprintf("write \"stage\": %q, or call the stage that the request is for", s.Name))
	}
	return nil
}

// open reads a request file, or standard input, which is no file and so not listed among the inputs.
func open(env *Env, file string) (source, []tasks.FileDigest, error) {
	if file == Dash {
		data, err := readAtMost(env.Stdin, strictjson.MaxBytes)
		if err != nil {
			return source{}, nil, unreadable(err, "the request on standard input cannot be read")
		}
		return source{name: "stdin", dir: env.Dir, data: data}, nil, nil
	}
	path := absolute(env.Dir, file)
	f, err := os.Open(path)
	if err != nil {
		return source{}, nil, unreadable(err, "the request cannot be read")
	}
	defer f.Close()
	data, err := readAtMost(f, strictjson.MaxBytes)
	if err != nil {
		return source{}, nil, unreadable(err, "the request cannot be read")
	}
	read := []tasks.FileDigest{{Path: path, Digest: cas.DigestOf(data)}}
	return source{name: file, dir: filepath.Dir(path), data: data}, read, nil
}

func unreadable(err error, what string) error {
	return diag.Wrap(diag.RequestUnreadable, err, what, "check the path and the file's rights")
}
