package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
)

// Own is a finished image taken apart again: what AddLayers got, and what the records in it say.
type Own struct {
	// Config is the configuration before Gantry's layers were added, byte for byte.
	Config  json.RawMessage
	Created string
	// Base are the layers of the base in the image's format, Layers those that Gantry made; both lowest first.
	Base   []Descriptor
	Layers []OwnLayer
	// Record is that of the image.
	Record ImageRecord
}

// OwnLayer is a layer that Gantry made.
type OwnLayer struct {
	Descriptor Descriptor
	DiffID     cas.Digest
	Key        cas.Digest
	// CreatedBy is from the layer's entry of history.
	CreatedBy string
}

// Seal is the digest for ImageRecord.Seal: of the configuration before Gantry's layers are added to it, and the annotations and all
// layers of the finished manifest. Tools that change an image (compress its layers anew, put it on another base, set a label) keep its
// history; the seal shows that what the history says is no longer so. It is empty when config is none, which AddLayers refuses.
func Seal(config json.RawMessage, annotations map[string]string, layers []Descriptor) cas.Digest {
	c, err := ParseConfig(config)
	if err != nil {
		return ""
	}
	body, err := c.encode(c.DiffIDs, c.history)
	if err != nil {
		return ""
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	data, err := Encode(struct {
		Config      cas.Digest        `json:"config"`
		Annotations map[string]string `json:"annotations"`
		Layers      []Descriptor      `json:"layers"`
	}{cas.DigestOf(body), annotations, layers})
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return cas.DigestOf(data)
}

// ReadOwn takes an image apart that Gantry made. Manifest and configuration are foreign: whatever does not fit together, or is not as
// Gantry writes it, makes it another tool's image, and the error says why.
func ReadOwn(m *Manifest, config []byte) (*Own, error) {
	c, err := ParseConfig(config)
	if err != nil {
		return nil, err
	}
	if len(c.DiffIDs) != len(m.Layers) || c.filled != len(m.Layers) {
		return nil, fmt.Errorf("it has %d layers, %d diff IDs and history for %d", len(m.Layers), len(c.DiffIDs), c.filled)
	}
	if want := ConfigType(FormatOf(m.MediaType)); m.Config.MediaType != want {
		return nil, fmt.Errorf("its configuration is of the type %s and not %s", m.Config.MediaType, want)
	}
	own := &Own{Created: c.Created}
	added, err := own.readLayers(c, m)
	if err != nil {
		return nil, err
	}
	below := len(m.Layers) - len(added)
	own.Base = m.Layers[:below]
	if own.Config, err = c.encode(c.DiffIDs[:below], c.history[:len(c.history)-len(added)]); err != nil {
		return nil, err
	}
	if again, err := AddLayers(own.Config, added); err != nil || string(again) != string(config) {
		return nil, errors.New("its configuration is not written as Gantry writes it")
	}
	if own.Record.Seal == "" || own.Record.Seal != Seal(own.Config, m.Annotations, m.Layers) {
		return nil, errors.New("another tool has changed it since Gantry made it")
	}
	if err := own.Record.Base.check(c.Platform); err != nil {
		return nil, err
	}
	return own, nil
}

// readLayers reads the topmost entries of history, those of Gantry's layers, and returns what AddLayers was given for them.
func (own *Own) readLayers(c *Config, m *Manifest) ([]NewLayer, error) {
	if len(c.history) == 0 {
		return nil, errors.New("it has no history")
	}
	_, top, err := readEntry(c.history[len(c.history)-1])
	if err != nil {
		return nil, err
	}
	if top.Image == nil {
		return nil, errors.New("its topmost layer has no record of an image")
	}
	n := top.Image.Layers
	if n < 1 || n > len(m.Layers) {
		return nil, fmt.Errorf("it claims %d layers of Gantry's and has %d in all", n, len(m.Layers))
	}
	own.Record = *top.Image
	byKey := map[cas.Digest]cas.Digest{}
	added := make([]NewLayer, n)
	below, history := len(m.Layers)-n, c.history[len(c.history)-n:] // as many entries as layers at least: all of them are counted
	for i, raw := range history {
		entry, record, err := readEntry(raw)
		if err != nil {
			return nil, err
		}
		if (record.Image != nil) != (i == n-1) {
			return nil, errors.New("a layer below the topmost has the record of an image")
		}
		l := OwnLayer{Descriptor: m.Layers[below+i], DiffID: c.DiffIDs[below+i], Key: record.Layer, CreatedBy: entry.CreatedBy}
		if d, seen := byKey[l.Key]; seen && d != l.Descriptor.Digest {
			return nil, fmt.Errorf("it has two layers of the key %s", l.Key)
		}
		byKey[l.Key] = l.Descriptor.Digest
		own.Layers = append(own.Layers, l)
		added[i] = NewLayer{DiffID: l.DiffID, CreatedBy: entry.CreatedBy, Comment: entry.Comment}
	}
	return added, nil
}

// readEntry reads an entry of history that stands for a layer of Gantry's.
func readEntry(raw json.RawMessage) (entry historyEntry, r Record, err error) {
	o, err := asObject(raw)
	if err != nil {
		return entry, r, err
	}
	if o.has("empty_layer") {
		return entry, r, errors.New("something was added to it that is no layer")
	}
	if entry.CreatedBy, err = o.text("created_by"); err != nil {
		return entry, r, err
	}
	if entry.Comment, err = o.text("comment"); err != nil {
		return entry, r, err
	}
	r, ok := ParseRecord(entry.Comment)
	if !ok {
		return entry, r, errors.New("it has a layer without a record of Gantry's")
	}
	return entry, r, nil
}

// check says what makes a base record one that Gantry does not write, for an image of a platform.
func (b *BaseRecord) check(p Platform) error {
	switch {
	case !IsManifest(b.Manifest.MediaType) || b.Manifest.Digest == "" || b.Manifest.Size <= 0:
		return errors.New("its record names no manifest of a base")
	case b.Config.MediaType != DockerConfig && b.Config.MediaType != OCIConfig || b.Config.Digest == "" || b.Config.Size <= 0:
		return errors.New("its record names no configuration of a base")
	case PlatformName(b.Platform) != PlatformName(p):
		return fmt.Errorf("it is for %s, and its record says that the base is for %s", PlatformName(p), PlatformName(b.Platform))
	}
	if _, err := time.Parse(time.RFC3339, b.Created); b.Created != "" && err != nil {
		return errors.New("the base's time in its record is none")
	}
	return nil
}
