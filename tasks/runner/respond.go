package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks"
)

// finish fills a response's header and gives it the form that all responses have.
func finish(stage string, resp Response, dir string, read []tasks.FileDigest) {
	h := resp.ResponseOf()
	h.SchemaVersion = tasks.SchemaVersion
	h.Stage = stage
	h.Inputs = append(h.Inputs, read...)
	for i := range h.Inputs {
		h.Inputs[i].Path = below(dir, h.Inputs[i].Path)
	}
	slices.SortFunc(h.Inputs, func(a, b tasks.FileDigest) int { return strings.Compare(a.Path, b.Path) })
	h.Inputs = slices.Compact(h.Inputs)
	for i := range h.Outputs {
		h.Outputs[i].Path = below(dir, h.Outputs[i].Path)
	}
	relativePaths(resp, dir)
	emptyLists(reflect.ValueOf(resp))
}

// emptyLists makes [] of lists that are nil, so that a reader never meets null. Optional ones are left out by their tag.
func emptyLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			emptyLists(v.Elem())
		}
	case reflect.Slice:
		if v.IsNil() && v.CanSet() && v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Pointer {
			for i := range v.Len() {
				emptyLists(v.Index(i))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				emptyLists(v.Field(i))
			}
		}
	}
}

// encode renders a response.
func encode(resp Response) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // an image's labels and commands are read by people, not by browsers
	e.SetIndent("", "  ")
	if err := e.Encode(resp); err != nil {
		return nil, diag.Wrap(diag.Internal, err, "the response cannot be encoded", "please report it")
	}
	return b.Bytes(), nil
}

// write puts a response in its place.
func write(env *Env, file string, data []byte) error {
	var err error
	if file == Dash {
		_, err = env.Stdout.Write(data)
	} else {
		_, err = atomicfile.WriteIfDifferent(absolute(env.Dir, file), data)
	}
	if err != nil {
		return diag.Wrap(diag.ResponseUnwritable, err, fmt.Sprintf("the response %s cannot be written", file), "check the folder's rights and the free space")
	}
	return nil
}
