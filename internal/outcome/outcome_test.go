package outcome

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/registry"
)

func result(repository string) Result {
	return New("push", registry.NewName("r.example:5000", repository), image.Descriptor{MediaType: registry.OCIManifest, Digest: cas.DigestOf([]byte(repository)), Size: 9})
}

func TestLine(t *testing.T) {
	digest := string(result("team/shop").Digest)
	present := "Image already present in 'r.example:5000/team/shop' (" + digest + ")"
	for _, tc := range []struct {
		name   string
		change func(*Result)
		want   string
	}{
		{"no tags", func(*Result) {}, present},
		{"current", func(r *Result) { r.Tags = []Tag{{Tag: "1.2", State: Current}} }, present + "; all tags are current"},
		{"moved", func(r *Result) {
			r.Tags = []Tag{{Tag: "1.2", State: Written}, {Tag: "1", State: Current}, {Tag: "latest", State: Moved}}
		}, present + "; tags updated without rebuild: 1.2, latest"},
		{"key", func(r *Result) { r.Key = &Key{Tag: "content-1", Repository: r.Reference, State: Written} }, present + "; cache key content-1"},
		{"key elsewhere", func(r *Result) { r.Key = &Key{Tag: "content-1", Repository: "r.example:5000/keys", State: Written} }, present + "; cache key r.example:5000/keys:content-1"},
		{"no key", func(r *Result) { r.Key = &Key{State: NotWritten, Reason: "the tags changed"} }, present + "; no cache key was written: the tags changed"},
		{"deferred", func(r *Result) { r.Deferred = true }, ""},
		{"pushed", func(r *Result) {
			r.Pushed, r.Tags = true, []Tag{{Tag: "1.2", State: Written}, {Tag: "latest", State: Moved}}
			r.Blobs = Blobs{Uploaded: Count{2, 850_900}, Mounted: Count{5, 9}, Existing: Count{1, 9}}
		}, "Pushed image 'team/shop:1.2, latest' to registry 'r.example:5000' (" + digest + "): 2 blobs uploaded (850.9 kB), 5 mounted, 1 found there"},
		{"pushed by digest", func(r *Result) { r.Pushed, r.Blobs.Uploaded = true, Count{1, 20} }, "Pushed image 'team/shop' to registry 'r.example:5000' (" + digest + "): 1 blob uploaded (20 B)"},
		{"all found", func(r *Result) { r.Pushed, r.Blobs.Existing = true, Count{3, 20} }, "Pushed image 'team/shop' to registry 'r.example:5000' (" + digest + "): no blob uploaded, 3 found there"},
	} {
		r := result("team/shop")
		tc.change(&r)
		if d := cmp.Diff(tc.want, r.Line()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}

func TestReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	r := result("shop")
	r.Tags = []Tag{{Tag: "1", State: Moved, Was: "sha256:x"}}
	if err := r.Report(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil || got["schemaVersion"] != 1.0 || got["pushed"] != false || got["reference"] != "r.example:5000/shop" {
		t.Errorf("%v: %s", err, data)
	}
	if err := r.Report(filepath.Join(file, "below")); diag.CodeOf(err) != diag.ResponseUnwritable {
		t.Errorf("got %v, want %s", err, diag.ResponseUnwritable)
	}
}

// TestAddRef: lines are sorted, one a repository, and none is lost when many write.
func TestAddRef(t *testing.T) {
	file := filepath.Join(t.TempDir(), "refs.txt")
	if err := os.WriteFile(file, []byte("r.example:5000/app5@sha256:old\n\nz.example/last@sha256:z"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if err := result(fmt.Sprint("app", i)).AddRef(file); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	deferred := result("deferred")
	deferred.Deferred = true
	if err := deferred.AddRef(file); err != nil {
		t.Error(err)
	}
	var want []string
	for i := range 10 {
		r := result(fmt.Sprint("app", i))
		want = append(want, r.Reference+"@"+string(r.Digest))
	}
	want = append(want, "z.example/last@sha256:z", "")
	got, err := os.ReadFile(file)
	if d := cmp.Diff(want, strings.Split(string(got), "\n")); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

// TestAddSummary: what others wrote stays, and one head serves rows that follow each other.
func TestAddSummary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "summary.md")
	add := func(r Result) {
		t.Helper()
		if err := r.AddSummary(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("# tests\nall passed\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	pushed := result("b")
	pushed.Pushed, pushed.Tags, pushed.Blobs.Uploaded = true, []Tag{{Tag: "1", State: Written}}, Count{1, 5}
	add(result("a"))
	add(pushed)
	got, err := os.ReadFile(file)
	want := "# tests\nall passed\n\n" + summaryHead +
		"| `r.example:5000/a` | `" + string(result("a").Digest) + "` | no, it is there |  |  |\n" +
		"| `r.example:5000/b` | `" + string(pushed.Digest) + "` | yes | `1` written | 1 blob uploaded (5 B) |\n"
	if d := cmp.Diff(want, string(got)); err != nil || d != "" {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", fi, err)
	}
}
