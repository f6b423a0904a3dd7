package graphstate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/dockerfile"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// Media types of a record.
const (
	ArtifactType = "application/vnd.gantry.graph.record.v1"
	recordType   = "application/vnd.gantry.graph.record.v1+json"
)

// Limits of a record, which is foreign input: whoever may push may write one.
const (
	// maxRecord is in bytes. A line of a file takes about 150, so this is room for 200,000 files.
	maxRecord = 32 << 20
	// maxVariants is the number of platforms, maxFromImages that of parents of one platform.
	maxVariants   = 64
	maxFromImages = 4096
	// maxText is the longest name, in bytes. A line's value may be as long as the record: it is an instruction with its heredocs.
	maxText = 4096
)

// Record says what an image was built from.
type Record struct {
	// SchemaVersion is 1.
	SchemaVersion int `json:"schemaVersion"`
	// Image is the image's name in its list.
	Image string `json:"image"`
	// SourceHash is that of the image, which its tag src-<hash> has.
	SourceHash cas.Digest `json:"sourceHash"`
	// Variants are its platforms: one, or those of an index.
	Variants []Variant `json:"variants"`
}

// Variant is what an image was built from for one platform.
type Variant struct {
	// Platform is os/architecture/variant.
	Platform string `json:"platform"`
	// FromImages are the images that the build read, those of intermediate stages included.
	FromImages []FromImage `json:"fromImages"`
	// Lines are what was hashed, sealed (sourcehash.Seal): who may read the image may not have the Dockerfile and its arguments. They are left out of a record that would be too large with them.
	Lines []sourcehash.Line `json:"lines,omitempty"`
}

// FromImage is an image that a build read, once for each way and stage.
type FromImage struct {
	// Name is the reference in full, as the Dockerfile says it after substitution.
	Name string `json:"name"`
	// Digest is that of the platform's manifest.
	Digest cas.Digest `json:"digest"`
	// Platform is the one that was read, which --platform may make another than the image's.
	Platform string `json:"platform"`
	// Stage is the stage that reads it; empty for the frontend.
	Stage string `json:"stage,omitempty"`
	// Use is FROM, COPY --from, RUN --mount or syntax.
	Use dockerfile.Kind `json:"use"`
}

// NewRecord makes a record. hash and the variants have to be known.
func NewRecord(image string, hash cas.Digest, variants []Variant) *Record {
	return &Record{SchemaVersion: 1, Image: image, SourceHash: hash, Variants: variants}
}

// FromImages makes the entries of one parent, each way and stage once, in the order of the uses.
func FromImages(reference string, platform dockerfile.Platform, digest cas.Digest, uses []dockerfile.Use) []FromImage {
	var list []FromImage
	seen := map[FromImage]bool{}
	for _, use := range uses {
		f := FromImage{Name: reference, Digest: digest, Platform: platform.String(), Stage: use.Stage, Use: use.Kind}
		if !seen[f] {
			list, seen[f] = append(list, f), true
		}
	}
	return list
}

// encode makes the record's bytes: the same for the same record. Lines that make it too large are left out.
func (r *Record) encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, diag.Wrap(diag.Internal, err, "the record of an image cannot be written", "please report it")
	}
	body, err := json.Marshal(r)
	if err == nil && len(body) > maxRecord {
		short := *r
		short.Variants = make([]Variant, len(r.Variants))
		for i, v := range r.Variants {
			short.Variants[i] = Variant{Platform: v.Platform, FromImages: v.FromImages}
		}
		body, err = json.Marshal(&short)
	}
	if err != nil {
		return nil, diag.Wrap(diag.Internal, err, "the record of an image cannot be encoded", "please report it")
	}
	return body, nil
}

// decode reads a record. Fields that it does not know are from a later version, and are passed over.
func decode(body []byte) (*Record, error) {
	if len(body) > maxRecord {
		return nil, fmt.Errorf("it has %d bytes, and at most %d are read", len(body), maxRecord)
	}
	if err := checkKeys(body, strings.ToLower); err != nil {
		return nil, err
	}
	r := &Record{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, fmt.Errorf("it is no record: %w", err)
	}
	return r, r.check()
}

func (r *Record) check() error {
	if r.SchemaVersion != 1 {
		return fmt.Errorf("its schemaVersion is %d, not 1", r.SchemaVersion)
	}
	if _, err := cas.ParseDigest(string(r.SourceHash)); err != nil {
		return fmt.Errorf("sourceHash: %w", err)
	}
	if err := checkText("image", r.Image); err != nil {
		return err
	}
	if len(r.Variants) == 0 || len(r.Variants) > maxVariants {
		return fmt.Errorf("it has %d variants, not 1 to %d", len(r.Variants), maxVariants)
	}
	seen := map[string]bool{}
	for i, v := range r.Variants {
		if err := v.check(); err != nil {
			return fmt.Errorf("variants[%d]: %w", i, err)
		}
		if seen[v.Platform] {
			return fmt.Errorf("variants[%d]: a second one for %s", i, v.Platform)
		}
		seen[v.Platform] = true
	}
	return nil
}

func (v *Variant) check() error {
	if err := checkPlatform(v.Platform); err != nil {
		return err
	}
	if len(v.FromImages) > maxFromImages {
		return fmt.Errorf("it has %d images, more than %d", len(v.FromImages), maxFromImages)
	}
	for i, f := range v.FromImages {
		if err := f.check(); err != nil {
			return fmt.Errorf("fromImages[%d]: %w", i, err)
		}
	}
	for i, l := range v.Lines {
		if err := checkText("kind", string(l.Kind)); err != nil {
			return fmt.Errorf("lines[%d]: %w", i, err)
		}
	}
	return nil
}

func (f *FromImage) check() error {
	if _, err := parseFull(f.Name); err != nil {
		return err
	}
	if _, err := cas.ParseDigest(string(f.Digest)); err != nil {
		return err
	}
	return errors.Join(checkPlatform(f.Platform), checkText("stage", f.Stage), checkText("use", string(f.Use)))
}

// parseFull reads a reference that is in full already: a named context such as target:NAME must not be taken for an image of Docker Hub.
func parseFull(s string) (registry.Reference, error) {
	ref, err := registry.ParseReference(s)
	if err == nil && ref.String() != s {
		err = fmt.Errorf("image reference %q is not in full, which is %s", s, ref)
	}
	return ref, err
}

// checkPlatform accepts what dockerfile.Platform writes.
func checkPlatform(s string) error {
	p, err := dockerfile.ParsePlatform(s, dockerfile.Platform{})
	if err != nil {
		return err
	}
	if p.OS == "" || p.Architecture == "" {
		return fmt.Errorf("platform %q is not complete", s)
	}
	return nil
}

// checkText accepts what may be written to a terminal as it is.
func checkText(what, s string) error {
	if len(s) > maxText {
		return fmt.Errorf("%s has %d bytes, more than %d", what, len(s), maxText)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%s has a control character or is not UTF-8: %q", what, s)
	}
	return nil
}

// parsePlatform reads a platform that was checked.
func parsePlatform(s string) dockerfile.Platform {
	p, _ := dockerfile.ParsePlatform(s, dockerfile.Platform{})
	return p
}
