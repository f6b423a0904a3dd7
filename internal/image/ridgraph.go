package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// Graph says which runtime identifiers may stand in for another.
type Graph struct {
	imports map[string][]string // nil for the built-in fallback
}

// maxGraphBytes bounds a graph file; the SDK's largest has 81 kB.
const maxGraphBytes = 4 << 20

// ParseGraph reads a graph file of the SDK: {"runtimes": {RID: {"#import": [RID, ...]}}}. The SDK's RuntimeIdentifierGraphPath names
// PortableRuntimeIdentifierGraph.json unless the project says UseRidGraph. A malformed file is GANTRY1005.
func ParseGraph(body []byte) (*Graph, error) {
	g := &Graph{imports: map[string][]string{}}
	if err := g.parse(body); err != nil {
		return nil, diag.Wrap(diag.InvalidValue, err, "the runtime identifier graph cannot be read", "set RuntimeIdentifierGraphPath to the SDK's own file")
	}
	return g, nil
}

func (g *Graph) parse(body []byte) error {
	o, err := parseDocument(body, maxGraphBytes)
	if err != nil {
		return err
	}
	runtimes, err := o.object("runtimes")
	if err != nil {
		return err
	}
	if runtimes == nil {
		return fmt.Errorf("%q is missing", "runtimes")
	}
	for rid := range runtimes {
		r, err := runtimes.object(rid)
		if err != nil {
			return err
		}
		if g.imports[rid], err = r.texts("#import"); err != nil {
			return fmt.Errorf("%s: %w", rid, err)
		}
	}
	return nil
}

// BuiltinGraph is for callers without the SDK's file. It knows what matters for images: an identifier serves itself, and linux-X-CPU
// (musl, bionic) is served by linux-CPU. Nothing else of the SDK's portable graph leads from one identifier with a processor to
// another that an image can have.
func BuiltinGraph() *Graph { return &Graph{} }

// Expand lists the identifiers that may serve rid, best first: rid itself, then what it imports, level by level, each once (NuGet's
// RuntimeGraph.ExpandRuntime). An identifier that the graph does not know expands to itself alone.
func (g *Graph) Expand(rid string) []string {
	out := []string{rid}
	if g.imports == nil {
		parts := strings.Split(rid, "-")
		if len(parts) == 3 && parts[0] == "linux" {
			out = append(out, "linux-"+parts[2])
		}
		return out
	}
	seen := map[string]bool{rid: true}
	for i := 0; i < len(out); i++ {
		for _, next := range g.imports[out[i]] {
			if !seen[next] {
				seen[next] = true
				out = append(out, next)
			}
		}
	}
	return out
}

// Knows says whether the graph has an identifier, in any case. The built-in one knows those that an image can have.
func (g *Graph) Knows(rid string) bool {
	if g.imports == nil {
		return imageRID.MatchString(rid)
	}
	for known := range g.imports {
		if strings.EqualFold(known, rid) {
			return true
		}
	}
	return false
}

var imageRID = regexp.MustCompile(`(?i)^(linux(-musl|-bionic)?|win[0-9]*)-(x64|x86|arm|armv[5-8]|arm64|ppc64le|s390x|riscv64|loongarch64)$`)
