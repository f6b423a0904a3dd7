package image

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// PlatformRID names a platform as a .NET runtime identifier, as the SDK does it: linux or win (with the major number of os.version
// behind it), and the architecture. It is "" for platforms that the SDK passes over. The SDK knows 32-bit x86 by the misspelt
// "x386" alone; here "386", which indexes really have, counts as well.
func PlatformRID(p Platform) string {
	var system string
	switch p.OS {
	case "linux":
		system = "linux"
	case "windows":
		system = "win"
	default:
		return ""
	}
	major, _, _ := strings.Cut(p.OSVersion, ".")
	cpu := ridCPU(p)
	if cpu == "" {
		return ""
	}
	return system + major + "-" + cpu
}

func ridCPU(p Platform) string {
	switch p.Architecture {
	case "amd64":
		return "x64"
	case "386", "x386":
		return "x86"
	case "arm":
		if p.Variant == "v7" {
			return "arm"
		}
		return "arm" + p.Variant
	case "arm64", "ppc64le", "s390x", "riscv64", "loongarch64":
		return p.Architecture
	}
	return ""
}

// Serves says whether a platform is what a runtime identifier promises, whatever the version of its system.
func Serves(p Platform, rid string) bool { return BuiltinGraph().Serves(p, rid) }

// Serves is the function Serves by this graph.
func (g *Graph) Serves(p Platform, rid string) bool {
	exact := PlatformRID(p)
	p.OSVersion = ""
	plain := PlatformRID(p)
	for _, r := range g.Expand(rid) {
		if r == exact || r == plain {
			return r != ""
		}
	}
	return false
}

// Select returns the entry of the index that serves rid: that of the first identifier in the graph's expansion of rid which any
// entry has; of several entries with one identifier the first. reference names the base image in messages. It is CONTAINER1011 with
// the list of what there is when none does, CONTAINER2003 when the entry is itself an index.
func (x *Index) Select(g *Graph, rid, reference string) (Descriptor, error) {
	byRID := map[string]Descriptor{}
	var available []string
	for _, d := range x.Manifests {
		if d.Platform == nil {
			continue
		}
		r := PlatformRID(*d.Platform)
		if _, taken := byRID[r]; r == "" || taken {
			continue
		}
		byRID[r] = d
		available = append(available, r)
	}
	for _, candidate := range g.Expand(rid) {
		if d, ok := byRID[candidate]; ok {
			if !IsManifest(d.MediaType) {
				return d, unknownManifest(d.MediaType)
			}
			return d, nil
		}
	}
	slices.Sort(available)
	has := "it has no variant for any .NET platform"
	if len(available) > 0 {
		has = "it has " + strings.Join(available, ", ")
	}
	return Descriptor{}, diag.New(diag.NoImageForRID,
		fmt.Sprintf("the base image %s has no variant for the runtime identifier %s: %s", reference, rid, has),
		"set ContainerRuntimeIdentifier to one of them, or choose another base image")
}
