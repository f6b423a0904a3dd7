//go:build !windows

package scan

import "io/fs"

// systemFile says whether the SDK leaves the file out because of an attribute, which only Windows has.
func systemFile(fs.FileInfo) bool { return false }
