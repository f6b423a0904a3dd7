package scan

import (
	"errors"
	"fmt"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks"
)

// Validate returns all that is wrong with the request, joined; each error has code GANTRY1005 and the path of the field.
func (r *Request) Validate() error {
	var errs []error
	bad := func(field, why, hint string) {
		errs = append(errs, diag.New(diag.InvalidValue, field+" "+why, hint))
	}
	if r.FolderPath == "" {
		bad("folderPath", "is missing", "name the publish folder")
	}
	if r.ArchivePath != "" && r.Repository == "" {
		bad("repository", "is missing", "name the image that goes to archivePath")
	}
	for i, item := range r.Items {
		if item.Path == "" {
			bad(fmt.Sprintf("items[%d].path", i), "is missing", "name a file of the publish folder")
		}
		switch item.Origin {
		case tasks.OriginApp, tasks.OriginProject, tasks.OriginPackage, tasks.OriginRuntime:
		default:
			bad(fmt.Sprintf("items[%d].origin", i), fmt.Sprintf("is %q", item.Origin), "use app, project, package or runtime")
		}
	}
	for i, pattern := range r.Transformed {
		if !doublestar.ValidatePattern(pattern) {
			bad(fmt.Sprintf("transformed[%d]", i), fmt.Sprintf("is %q, which is no pattern", pattern), "write a glob such as *.config")
		}
	}
	return errors.Join(errs...)
}

// transformed says whether the file at path differs from its source on purpose.
func (r *Request) transformed(path string) bool {
	patterns := r.Transformed
	if patterns == nil {
		patterns = transformedBySDK
	}
	for _, pattern := range patterns {
		if ok, _ := doublestar.Match(pattern, path); ok { // the pattern was validated
			return true
		}
	}
	return false
}
