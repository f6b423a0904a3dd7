package runner

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"reflect"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/diag"
)

// stamped are the stages whose result depends on files alone, and the fields of their requests that name those files.
//
// Such a stage keeps, as its stamp, the very text that it read: the identity of the tool, its request, the request that this one
// extends, and the documents of these fields. It is skipped while that text is equal, and never because a file is older than another:
// clocks step back, and checkouts and caches restore files with any time.
var stamped = map[string][]string{
	"select-base":    {"resolveBasePath"},
	"compute-config": {"selectBasePath"},
	"create-layers":  {"selectBasePath", "fileListPath", "extraLayersPath"},
}

// stampedOrder are the same stages in the order in which one reads what the other wrote.
var stampedOrder = []string{"select-base", "compute-config", "create-layers"}

// beforeSuffix is that of the stamp before the last run, from which gantry explain tells what changed; noStamp stands in it where there
// was none.
const (
	beforeSuffix = ".before"
	noStamp      = "none\n"
)

// untrusted stands in the stamps of what was made with Env.MakeLayers: what an earlier run took on trust is made.
const untrusted = `{"settings": {"trust.layer-keys": false}}` + "\n"

// ExecUnlessCurrent is Exec for a stage with a stamp: it does nothing when the stage would read what it read last and the response is
// there. ran says which.
func (s Stage) ExecUnlessCurrent(ctx context.Context, env *Env, files Files, stamp string) (ran bool, err error) {
	if stamped[s.Name] == nil {
		return false, diag.New(diag.BadUsage, "the stage "+s.Name+" has no stamp: its result does not depend on files alone", "leave --stamp out")
	}
	if s.current(env, files, stamp) {
		env.Log.Debug("skipped: what it reads is equal to what it read last", "stage", s.Name, "stamp", stamp)
		return false, nil
	}
	return true, s.execAndStamp(ctx, env, files, absolute(env.Dir, stamp))
}

// current says whether the stamp is the text that the stage would read now. What cannot be read is not current: the stage says why.
func (s Stage) current(env *Env, files Files, stamp string) bool {
	was, err := os.ReadFile(absolute(env.Dir, stamp))
	if err != nil || !complete(absolute(env.Dir, files.Response)) {
		return false
	}
	now, err := s.reads(env, files.Request)
	return err == nil && bytes.Equal(was, now)
}

// complete says whether a response was written to its end.
func complete(file string) bool {
	data, err := os.ReadFile(file)
	return err == nil && bytes.HasSuffix(bytes.TrimSpace(data), []byte("}"))
}

// execAndStamp runs the stage with its stamp put aside: a run that is killed between response and stamp leaves no stamp, which could be
// equal to what is read another time. A run that fails writes no response, and the stamp of the earlier one stays.
func (s Stage) execAndStamp(ctx context.Context, env *Env, files Files, stamp string) error {
	before := stamp + beforeSuffix
	aside := os.Rename(stamp, before)
	if aside != nil {
		if !errors.Is(aside, fs.ErrNotExist) {
			return stampError(aside)
		}
		if err := atomicfile.Write(before, []byte(noStamp)); err != nil {
			return stampError(err)
		}
	}
	read, readErr := s.reads(env, files.Request)
	if err := s.Exec(ctx, env, files); err != nil {
		if aside == nil {
			err = errors.Join(err, os.Rename(before, stamp))
		}
		return err
	}
	// another build may have written what this one read: then it is not known which of the two texts the response is of
	if again, err := s.reads(env, files.Request); readErr != nil || err != nil || !bytes.Equal(read, again) {
		env.Log.Debug("not stamped: what it reads changed meanwhile", "stage", s.Name)
		return nil
	}
	if err := atomicfile.Write(stamp, read); err != nil {
		return stampError(err)
	}
	return nil
}

func stampError(err error) error {
	return diag.Wrap(diag.ResponseUnwritable, err, "the stamp cannot be written", "check the folder's rights and the free space")
}

// reads is the text that the stage reads.
func (s Stage) reads(env *Env, request string) ([]byte, error) {
	req, read, err := s.load(env, request)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, f := range read {
		paths = append(paths, f.Path)
	}
	for _, field := range stamped[s.Name] {
		eachPath(reflect.ValueOf(req), func(name, value string) string {
			if name == field {
				paths = append(paths, value)
			}
			return value
		})
	}
	text := []byte(env.Tool + "\n")
	if env.MakeLayers {
		text = append(text, untrusted...)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		text = append(append(text, bytes.TrimSpace(data)...), '\n')
	}
	return text, nil
}
