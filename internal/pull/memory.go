package pull

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/atomicfile"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

// memory is what a reference answered last. It is a hint and never an answer: it says which question is the cheaper one.
type memory struct {
	Reference string     `json:"reference"`
	MediaType string     `json:"mediaType"`
	Digest    cas.Digest `json:"digest"`
}

// memoryFile is one small file a reference, so that processes do not write to a common one.
func memoryFile(store *cas.Store, reference string) string {
	return filepath.Join(store.Dir(), "references", cas.DigestOf([]byte(reference)).Hex()+".json")
}

// Remember notes what a reference answered. That it cannot be noted costs a longer answer next time, and is no error.
func Remember(store *cas.Store, reference string, m *registry.Manifest, log *slog.Logger) {
	data, err := json.Marshal(memory{reference, m.MediaType, m.Digest})
	file := memoryFile(store, reference)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err == nil {
		_, err = atomicfile.WriteIfDifferent(file, data)
	}
	if err != nil {
		log.Debug("the answer for a reference is not remembered", "ref", reference, "reason", err.Error())
	}
}

// Remembered is the manifest that a reference answered last, when the store has it whole; nil when not.
func Remembered(store *cas.Store, reference string, log *slog.Logger) *registry.Manifest {
	data, err := os.ReadFile(memoryFile(store, reference))
	var m memory
	if err != nil || json.Unmarshal(data, &m) != nil || m.Reference != reference || m.Digest == "" {
		return nil
	}
	body, ok := stored(store, m.Digest, log)
	if !ok || image.Sniff(body) != m.MediaType {
		return nil
	}
	return &registry.Manifest{MediaType: m.MediaType, Digest: m.Digest, Body: body}
}
