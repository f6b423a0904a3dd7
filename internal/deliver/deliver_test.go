package deliver

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
)

// names keeps tags, and can refuse a write once, or lag behind.
type names struct {
	mu      sync.Mutex
	tags    map[string]cas.Digest
	refuse  error
	stale   cas.Digest // what tags are said to name; empty: the truth
	written []string
}

func (n *names) HeadManifest(_ context.Context, ref string) (registry.Descriptor, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d, ok := n.tags[ref]
	if !ok {
		return registry.Descriptor{}, registry.ErrNotFound
	}
	if n.stale != "" {
		d = n.stale
	}
	return registry.Descriptor{MediaType: registry.OCIManifest, Digest: d, Size: 1}, nil
}

func (n *names) PushManifest(_ context.Context, ref, _ string, body []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.refuse; err != nil {
		n.refuse = nil
		return err
	}
	n.tags[ref] = cas.DigestOf(body)
	n.written = append(n.written, ref)
	slices.Sort(n.written)
	return nil
}

func writer(n *names, log *bytes.Buffer) Writer {
	return Writer{
		Repository: n, Name: registry.NewName("r.example", "app"), Log: slog.New(slog.NewTextHandler(log, nil)),
		Document: NewDocument([]byte("{}"), registry.OCIManifest), Parallel: 1,
	}
}

// TestTags: a tag that names the image is left alone, the others say what they named.
func TestTags(t *testing.T) {
	n := &names{tags: map[string]cas.Digest{}}
	w := writer(n, &bytes.Buffer{})
	old := cas.DigestOf([]byte("old"))
	found := []oracle.Tag{{Name: "a", Digest: w.Document.Descriptor.Digest}, {Name: "b", Digest: old}, {Name: "c"}}
	got, err := w.Tags(t.Context(), []string{"a", "b", "c"}, found, false)
	want := []outcome.Tag{{Tag: "a", State: outcome.Current}, {Tag: "b", State: outcome.Moved, Was: old}, {Tag: "c", State: outcome.Written}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if d := cmp.Diff([]string{"b", "c"}, n.written); d != "" {
		t.Errorf("written (-want +got):\n%s", d)
	}
	n.written = nil
	if _, err := w.Tags(t.Context(), nil, nil, false); err != nil || n.written != nil {
		t.Errorf("without tags and content: %v, %v", err, n.written)
	}
	if _, err := w.Tags(t.Context(), nil, nil, true); err != nil || len(n.written) != 1 {
		t.Errorf("without tags: %v, %v", err, n.written)
	}
}

// TestTags_restore: content that is lost is brought once. A plain 400 counts as that only when content was left out.
func TestTags_restore(t *testing.T) {
	bad := &registry.StatusError{StatusCode: 400}
	lost := &registry.StatusError{StatusCode: 400, Codes: []string{"MANIFEST_BLOB_UNKNOWN"}}
	invalid := &registry.StatusError{StatusCode: 400, Codes: []string{"MANIFEST_INVALID"}}
	redeploy := &registry.StatusError{StatusCode: 400, Codes: []string{"BLOB_UPLOAD_INVALID"}} // Nexus: tags may not move
	immutable := diag.Wrap(diag.TagRefused, bad, "it names another", "")
	for _, tc := range []struct {
		refuse   error
		skipped  bool
		restored bool
	}{{lost, false, true}, {lost, true, true}, {bad, true, true}, {bad, false, false}, {invalid, true, true}, {redeploy, true, false}, {immutable, true, false}, {&registry.StatusError{StatusCode: 403}, true, false}} {
		n := &names{tags: map[string]cas.Digest{}, refuse: tc.refuse}
		w := writer(n, &bytes.Buffer{})
		restored := 0
		w.Skipped, w.Restore = tc.skipped, func(context.Context, error) error {
			restored++
			return nil
		}
		_, err := w.Tags(t.Context(), []string{"a"}, nil, true)
		if restored == 1 != tc.restored || err == nil != tc.restored {
			t.Errorf("%v, skipped %v: restored %d times, %v", tc.refuse, tc.skipped, restored, err)
		}
	}
}

// TestReadBack: a tag that stays what it was is told, and is no error.
func TestReadBack(t *testing.T) {
	n := &names{tags: map[string]cas.Digest{}}
	log := &bytes.Buffer{}
	w := writer(n, log)
	var waited time.Duration
	w.Wait = func(_ context.Context, d time.Duration) error {
		waited += d
		return nil
	}
	tags, err := w.Tags(t.Context(), []string{"a"}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ReadBack(t.Context(), tags); err != nil || waited != 0 || log.Len() != 0 {
		t.Errorf("%v, waited %s, said %s", err, waited, log)
	}
	n.stale = cas.DigestOf([]byte("old"))
	if err := w.ReadBack(t.Context(), tags); err != nil || waited < 5*time.Second {
		t.Errorf("%v, waited %s", err, waited)
	}
	for _, part := range []string{string(diag.TagStale), string(n.stale), string(w.Document.Descriptor.Digest), "r.example/app:a"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("%q does not say %s", log, part)
		}
	}
	log.Reset()
	tags[0].State = outcome.Current
	if err := w.ReadBack(t.Context(), tags); err != nil || log.Len() != 0 {
		t.Errorf("a tag that was not written is read back: %v, %s", err, log)
	}
}
