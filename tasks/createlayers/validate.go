package createlayers

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layer"
)

// Validate returns all that is wrong with the request, joined, each with the path of the field: GANTRY1005, 1010 for a control
// character in the working directory, 3001 for the epoch, 4013 for the own layers.
func (r *Request) Validate() error {
	var errs []error
	bad := func(code diag.Code, what, hint string) { errs = append(errs, diag.New(code, what, hint)) }
	if r.SelectBasePath == "" {
		bad(diag.InvalidValue, "selectBasePath is missing", "name the response of gantry select-base")
	}
	if r.FileListPath == "" {
		bad(diag.InvalidValue, "fileListPath is missing", "name the response of gantry scan")
	}
	switch {
	case r.WorkingDirectory == "":
		bad(diag.InvalidValue, "workingDirectory is missing", `write for example "/app/"`)
	case !utf8.ValidString(r.WorkingDirectory) || strings.ContainsFunc(r.WorkingDirectory, unicode.IsControl):
		bad(diag.ControlCharacter, fmt.Sprintf("workingDirectory %q has a control character or is not UTF-8", r.WorkingDirectory), "remove it")
	}
	switch r.Layers {
	case "", LayersAuto, LayersSingle:
	default:
		bad(diag.InvalidValue, fmt.Sprintf("layers is %q", r.Layers), "use auto or single")
	}
	r.checkCompression(bad)
	errs = append(errs, r.checkOwnLayers()...)
	if _, err := parseEpoch(r.SourceDateEpoch); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (r *Request) checkCompression(bad func(code diag.Code, what, hint string)) {
	switch r.Compression {
	case "", layer.Gzip, layer.Zstd, layer.None:
	default:
		bad(diag.InvalidValue, fmt.Sprintf("compression is %q", r.Compression), "use gzip, zstd or none")
		return
	}
	if r.CompressionLevel == nil {
		return
	}
	level := *r.CompressionLevel
	low, high, ok := layer.Levels(r.Compression)
	switch {
	case !ok:
		bad(diag.InvalidValue, fmt.Sprintf("compressionLevel is %d, and compression is %s", level, r.Compression), "leave one of them out")
	case level < low || level > high:
		bad(diag.InvalidValue, fmt.Sprintf("compressionLevel is %d", level), fmt.Sprintf("use %d (fast) to %d (small)", low, high))
	}
}
