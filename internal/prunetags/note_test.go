package prunetags

import (
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
)

func FuzzParseNote(f *testing.F) {
	digest := cas.DigestOf(nil)
	f.Add([]byte(`{"schemaVersion":1,"tags":{"content-a":{"digest":"` + string(digest) + `","since":"2026-01-01T00:00:00Z"}}}`))
	f.Add([]byte(`{"schemaVersion":1,"tags":{"content-a":{"digest":"` + string(digest) + `","since":"2999-01-01T00:00:00Z"}}}`))
	f.Add([]byte(`{"schemaVersion":2}`))
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		n := parseNote(data)
		for tag := range n.Tags {
			if since, ok := n.since(tag, digest, now); ok && (since.After(now) || since.IsZero()) {
				t.Errorf("%q since %s", tag, since)
			}
		}
	})
}

func TestIsKey(t *testing.T) {
	for tag, want := range map[string]bool{
		"content-a": true, "content-": false, "content": false, "src-a": false, "latest": false, "sha256-a": false, NoteTag: false,
		"src-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef":  true,
		"src-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0": false,
	} {
		if got := isKey(tag); got != want {
			t.Errorf("%s: got %v", tag, got)
		}
	}
}
