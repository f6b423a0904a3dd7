package pull

import (
	"encoding/json"
	"log/slog"
	"path"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

// memory is what a reference answered last. It is a hint and no answer, unless the user's pull policy makes it one: it says which
// question is the cheaper one.
type memory struct {
	Reference string     `json:"reference"`
	MediaType string     `json:"mediaType"`
	Digest    cas.Digest `json:"digest"`
}

// memoryName is one small file a reference, so that processes do not write to a common one.
func memoryName(reference string) string {
	return path.Join(cas.RecordsDir, "references", cas.DigestOf([]byte(reference)).Hex()+".json")
}

// Remember notes what a reference answered. That it cannot be noted costs a longer answer next time, and is no error.
func Remember(store *cas.Store, reference string, m *registry.Manifest, log *slog.Logger) {
	now := memory{reference, m.MediaType, m.Digest}
	if last, ok := recollect(store, reference); ok && last == now {
		return
	}
	data, err := json.Marshal(now)
	if err == nil {
		err = store.WriteFile(memoryName(reference), append(data, '\n'))
	}
	if err != nil {
		log.Debug("the answer for a reference is not remembered", "ref", reference, "reason", err.Error())
	}
}

// recollect reads what Remember wrote, which may be anything by now.
func recollect(store *cas.Store, reference string) (m memory, ok bool) {
	data, err := store.ReadFile(memoryName(reference))
	if err != nil || json.Unmarshal(data, &m) != nil {
		return m, false
	}
	return m, m.Reference == reference && m.Digest != ""
}

// Remembered is the manifest that a reference answered last, when the store has it whole; nil when not.
func Remembered(store *cas.Store, reference string, log *slog.Logger) *registry.Manifest {
	m, ok := recollect(store, reference)
	if !ok {
		return nil
	}
	body, ok := Stored(store, m.Digest, log)
	if !ok || image.Sniff(body) != m.MediaType {
		return nil
	}
	return &registry.Manifest{MediaType: m.MediaType, Digest: m.Digest, Body: body}
}
