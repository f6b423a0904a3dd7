package prunetags

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/gantry-build/gantry/internal/artifact"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

const (
	noteType    = "application/vnd.gantry.prune-note.v1"
	noteContent = "application/vnd.gantry.prune-note.v1+json"
	noteVersion = 1
	// maxNote is the largest note that is read, in bytes: some 20000 tags.
	maxNote = 4 << 20
)

// note is what earlier runs saw: since when a tag names a digest. Whoever may push may write one; it can make a tag go, and nothing else.
type note struct {
	SchemaVersion int              `json:"schemaVersion"`
	Tags          map[string]noted `json:"tags"`
}

type noted struct {
	Digest cas.Digest `json:"digest"`
	Since  time.Time  `json:"since"`
}

// since is when a tag was first seen with that digest. A day in the future is no day.
func (n note) since(tag string, d cas.Digest, now time.Time) (time.Time, bool) {
	e, ok := n.Tags[tag]
	if !ok || e.Digest != d || e.Since.IsZero() || e.Since.After(now) {
		return time.Time{}, false
	}
	return e.Since, true
}

// parseNote reads a note. What is none says nothing.
func parseNote(data []byte) note {
	var n note
	if json.Unmarshal(data, &n) != nil || n.SchemaVersion != noteVersion {
		return note{}
	}
	return n
}

// readNote reads the note of a repository. One that is not there, or is something else by that name, is empty.
func readNote(ctx context.Context, repo Repository) (note, error) {
	m, err := repo.Manifest(ctx, NoteTag)
	if errors.Is(err, registry.ErrNotFound) {
		return note{}, nil
	}
	if err != nil {
		return note{}, err
	}
	var a artifact.Manifest
	if json.Unmarshal(m.Body, &a) != nil || a.ArtifactType != noteType || a.Config.Size <= 0 || a.Config.Size > maxNote {
		return note{}, nil
	}
	data, err := repo.ReadBlob(ctx, a.Config.Digest, a.Config.Size)
	if errors.Is(err, registry.ErrNotFound) {
		return note{}, nil
	}
	return parseNote(data), err
}

// writeNote notes what is there now. Nothing is written when that is noted already.
func (r *Result) writeNote(ctx context.Context, repo Repository) error {
	out := note{SchemaVersion: noteVersion, Tags: map[string]noted{}}
	changed := false
	for _, t := range r.Tags {
		if t.Removed {
			continue
		}
		since := r.options.Now.UTC().Truncate(time.Second)
		if t.Seen != nil {
			since = *t.Seen
		} else {
			changed = true
		}
		out.Tags[t.Name] = noted{Digest: t.Digest, Since: since}
	}
	if !changed && len(out.Tags) == len(r.state.note.Tags) {
		return nil
	}
	data, err := json.Marshal(out)
	if err != nil {
		return diag.Wrap(diag.Internal, err, "the note cannot be encoded", "please report it")
	}
	content := artifact.Descriptor{MediaType: noteContent, Digest: cas.DigestOf(data), Size: int64(len(data))}
	body, err := artifact.Encode(noteType, content)
	if err != nil {
		return err
	}
	_, err = repo.PushBlob(ctx, registry.BlobSource{
		Digest: content.Digest, Size: content.Size,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}, nil)
	if err != nil {
		return err
	}
	return repo.PushManifest(ctx, NoteTag, registry.OCIManifest, body)
}
