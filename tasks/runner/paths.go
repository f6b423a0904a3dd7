package runner

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// resolvePaths makes the path fields of a request absolute, whose relative values are relative to dir. Fields named in
// except stay as they are.
func resolvePaths(req Request, dir string, except []string) {
	eachPath(reflect.ValueOf(req), func(name, value string) string {
		if name == "extendsPath" || slices.Contains(except, name) {
			return value
		}
		path := absolute(dir, filepath.FromSlash(value))
		if name == "archivePath" && os.IsPathSeparator(value[len(value)-1]) { // which says that it is a folder
			path += string(filepath.Separator)
		}
		return path
	})
}

// relativePaths writes the path fields of a response relative to dir where they lie below it, with slashes.
func relativePaths(resp Response, dir string) {
	eachPath(reflect.ValueOf(resp), func(_, value string) string { return below(dir, value) })
}

// below returns path relative to dir when it lies in it, else path itself.
func below(dir, path string) string {
	if !filepath.IsAbs(path) {
		return path
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return path
	}
	if strings.HasSuffix(path, "/") && rel != "." { // a walked folder, see tasks.FileDigest
		rel += "/"
	}
	return filepath.ToSlash(rel)
}

// eachPath replaces every value that is not empty of a field whose JSON name ends in Path or Paths, at any depth.
func eachPath(v reflect.Value, replace func(name, value string) string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			eachPath(v.Elem(), replace)
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Pointer {
			for i := range v.Len() {
				eachPath(v.Index(i), replace)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if strings.HasSuffix(name, "Path") || strings.HasSuffix(name, "Paths") {
				replaceStrings(v.Field(i), func(s string) string { return replace(name, s) })
			} else {
				eachPath(v.Field(i), replace)
			}
		}
	}
}

func replaceStrings(v reflect.Value, replace func(string) string) {
	switch {
	case v.Kind() == reflect.String:
		if v.String() != "" {
			v.SetString(replace(v.String()))
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			replaceStrings(v.Index(i), replace)
		}
	}
}
