package image

import (
	"encoding/json"

	"github.com/gantry-build/gantry/internal/cas"
)

// RecordVersion is the version of Record. A record of another version is no record.
const RecordVersion = 1

// Record is what Gantry notes of a layer of its own, as JSON in the comment of the layer's own entry of history (image-spec,
// config.md). It says how the layer can be known again without making it, and is a function of the image's content alone.
type Record struct {
	// Gantry is RecordVersion.
	Gantry int `json:"gantry"`
	// Layer is the layer's key.
	Layer cas.Digest `json:"layer"`
	// Image is in the record of the topmost layer only.
	Image *ImageRecord `json:"image,omitempty"`
}

// ImageRecord says how an image came to be.
type ImageRecord struct {
	// Config is the digest of everything that compute-config reads.
	Config cas.Digest `json:"config"`
	// Seal is the digest of the image as Gantry made it; see the function Seal.
	Seal cas.Digest `json:"seal"`
	// Layers is the number of layers that Gantry made, the topmost ones. Records below them are the base's own and do not count.
	Layers int `json:"layers"`
	// Base is what the image was built on.
	Base BaseRecord `json:"base"`
}

// BaseRecord is the part of a base image that its manifest's digest stands for, so that neither manifest nor configuration need to be
// read. Its layers are the image's own lowest ones.
type BaseRecord struct {
	Manifest Descriptor `json:"manifest"`
	Config   Descriptor `json:"config"`
	Platform Platform   `json:"platform"`
	// Created is the base's creation time, RFC 3339; empty when it has none.
	Created string `json:"created,omitempty"`
}

// Comment is the text for the entry of history.
func (r Record) Comment() string {
	r.Gantry = RecordVersion
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return string(data)
}

// maxComment bounds what is read of a record; those that Gantry writes have less than 2 KiB.
const maxComment = 64 << 10

// ParseRecord reads a comment. ok is false for what is no record of this version: a record is exactly what Comment writes.
func ParseRecord(comment string) (r Record, ok bool) {
	if len(comment) == 0 || len(comment) > maxComment || comment[0] != '{' || json.Unmarshal([]byte(comment), &r) != nil {
		return Record{}, false
	}
	if r.Gantry != RecordVersion || r.Layer == "" || r.Comment() != comment {
		return Record{}, false
	}
	return r, true
}
