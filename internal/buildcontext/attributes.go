package buildcontext

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
)

// counts says whether an extended attribute is sent to the builder and is part of its digests: not those of macOS, and of the security module's
// only a file's capabilities (fsutil's stat_unix.go; cache/contenthash/tarsum.go).
func counts(name string) bool {
	switch {
	case name == "security.capability":
		return true
	case strings.HasPrefix(name, "security."), strings.HasPrefix(name, "system."), strings.HasPrefix(name, "com.apple."):
		return false
	}
	return true
}

// foldAttributes is empty for none.
func foldAttributes(values map[string]string) cas.Digest {
	if len(values) == 0 {
		return ""
	}
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, s := range []string{name, values[name]} {
			b = append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
		}
	}
	return cas.DigestOf(b)
}
