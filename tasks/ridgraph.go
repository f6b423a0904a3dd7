package tasks

import (
	"os"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
)

// ReadGraph reads the graph of runtime identifiers that a request's ridGraphPath names, and returns the file as an input of the stage;
// without a path it is the built-in graph, and there is none. Fails with GANTRY1005.
func ReadGraph(path string) (*image.Graph, []FileDigest, error) {
	if path == "" {
		return image.BuiltinGraph(), nil, nil
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, diag.Wrap(diag.InvalidValue, err, "ridGraphPath cannot be read", "set RuntimeIdentifierGraphPath to the SDK's own file")
	}
	graph, err := image.ParseGraph(body)
	return graph, []FileDigest{{Path: path, Digest: cas.DigestOf(body)}}, err
}
