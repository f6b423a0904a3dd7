package msbuild

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/explain"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/testenv"
)

// save publishes the image app without a build to a destination that is no registry, and has to succeed.
func (s *site) save(more ...string) testenv.Result {
	s.t.Helper()
	return s.must(s.saved(more...)...)
}

func (s *site) saved(more ...string) []string {
	return slices.Concat(noBuild(), []string{"-t:PublishContainer", "-p:ContainerRepository=app", "-p:ContainerBaseImage=" + s.base}, more)
}

// showOutputs has each publish say what it leaves in properties and items.
func (s *site) showOutputs(project string) {
	s.t.Helper()
	s.add(project, `<Target Name="Show" AfterTargets="PublishContainer">
  <Message Importance="high" Text="made $(GeneratedContainerDigest) in '$(GeneratedArchiveOutputPath)' as @(GeneratedContainerName)" />
</Target>`)
}

// called checks which stages a publish started.
func called(t *testing.T, calls func() []string, want string) {
	t.Helper()
	if got := strings.Join(calls(), " "); got != want {
		t.Errorf("the tool was called for %q, want %q", got, want)
	}
}

// cold are the calls of a publish in which every stage has work.
const cold = "save select-base save compute-config save create-layers save"

// remembered is a file as it is, to be compared with what it is later.
type remembered struct {
	path string
	info os.FileInfo
	body []byte
}

func remember(t *testing.T, path string) remembered {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return remembered{path, info, body}
}

// untouched checks that it is the same file, with its time; same checks the bytes alone.
func (r remembered) untouched(t *testing.T) {
	t.Helper()
	info, err := os.Stat(r.path)
	if err != nil || !os.SameFile(info, r.info) || !info.ModTime().Equal(r.info.ModTime()) {
		t.Errorf("%s was written again: %v", r.path, err)
	}
}

func (r remembered) same(t *testing.T) bool {
	t.Helper()
	body, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	return string(body) == string(r.body)
}

func savedReport(t *testing.T, file string) (did outcome.Saved) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &did)
	}
	if err != nil {
		t.Fatal(err)
	}
	return did
}

func tarEntries(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	eachEntry(t, f, func(h *tar.Header, _ io.Reader) { names = append(names, h.Name) })
	return names
}

// TestArchive publishes one project to an archive again and again: what is there is left alone by one process, anything else is replaced.
func TestArchive(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	calls := s.tool()
	s.showOutputs("console.csproj")
	file := filepath.Join(s.dir, "out", "image.tar.gz")
	args := []string{`-p:ContainerImageTags="1.0;latest"`, "-p:GantryReport=report.json", "-p:GantryImageRefs=refs.txt"}
	archive := append(slices.Clone(args), "-p:ContainerArchiveOutputPath=out/image.tar.gz")

	// compiled here, so that another compile after a clean gives the same image
	s.must("clean", "-c", "Release")
	build := append([]string{"publish", "--no-restore"}, s.saved(archive...)[2:]...)
	r := s.must(build...)
	called(t, calls, cold)
	says(t, r, "Pushed image 'app:1.0, latest' to local archive at '"+file+"'", "in 'out/image.tar.gz' as app:1.0;app:latest")
	did := savedReport(t, filepath.Join(s.dir, "report.json"))
	if did.Kind != outcome.Archive || did.Where != file || !did.Written || !strings.Contains(r.Output, "made "+string(did.Digest)+" in ") {
		t.Errorf("got %+v", did)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "refs.txt")); err == nil {
		t.Error("the list of images in registries has the archive")
	}
	report, text := s.explain()
	if got := stage(t, report, "save"); got.State != explain.Ran || !strings.Contains(got.Because, file) || len(report.Folders[0].Stages) != 6 {
		t.Errorf("explained:\n%s", text)
	}

	was := remember(t, file)
	r = s.save(archive...)
	called(t, calls, "save")
	was.untouched(t)
	says(t, r, "Image already present in local archive at '"+file+"' ("+string(did.Digest)+")")
	if savedReport(t, filepath.Join(s.dir, "report.json")).Written {
		t.Error("the report says that it was written")
	}
	report, text = s.explain()
	if got := states(report); got["save"] != explain.Skipped || got["create-layers"] != explain.Skipped || got["scan"] != explain.Ran {
		t.Errorf("explained:\n%s", text)
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.save(archive...)
	called(t, calls, "save")
	if !was.same(t) {
		t.Error("the archive is another one after it was deleted")
	}

	s.save(append(archive, "-p:ContainerDescription=other")...)
	if calls(); was.same(t) {
		t.Error("another image did not replace the archive")
	}
	s.save(archive...) // and the archive that another image is in by now is replaced in its turn
	if calls(); !was.same(t) {
		t.Error("the first image did not replace the other")
	}

	was = remember(t, file)
	s.must("clean", "-c", "Release")
	if _, err := os.Stat(s.gantryDir()); err == nil {
		t.Error("clean left the project's documents")
	}
	s.must(build...)
	called(t, calls, cold)
	was.untouched(t)
}

// TestArchive_folder has the file's name made of the repository's, as with the SDK, whose output property keeps what was written. The folder may
// be the publish folder.
func TestArchive_folder(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.showOutputs("console.csproj")
	for _, tt := range []struct{ path, file, more, has, hasNot string }{
		{"out.d/", "out.d/team/app.tar.gz", "-p:ContainerImageFormat=Docker", "manifest.json", "oci-layout"},
		{filepath.Join(s.dir, `odd %41 'x' é`), `odd %41 'x' é/team/app.tar.gz`, "-p:GantryArchiveFormat=oci", "oci-layout", ""},
	} {
		r := s.save("-p:ContainerArchiveOutputPath="+strings.ReplaceAll(tt.path, "%", "%25"), "-p:ContainerRepository=team/app", tt.more)
		says(t, r, "in '"+tt.path+"' as team/app:latest", "to local archive at '"+filepath.Join(s.dir, tt.file)+"'")
		if got := tarEntries(t, filepath.Join(s.dir, tt.file)); !slices.Contains(got, tt.has) || slices.Contains(got, tt.hasNot) {
			t.Errorf("%s: got %q", tt.path, got)
		}
	}
	// In the publish folder it is no part of the image, whose digest the archive outside has too.
	in := filepath.Join("bin", "Release", "net10.0", "publish", "images;x", "img.tar.gz")
	inside := []string{"-p:ContainerArchiveOutputPath=" + escapeMSBuild(in), "-p:GantryReport=report.json", "-p:GantryImageRefs=" + filepath.Join(filepath.Dir(filepath.Dir(in)), "refs.txt")}
	s.save("-p:ContainerArchiveOutputPath=plain.tar", "-p:GantryReport=report.json")
	plain := savedReport(t, filepath.Join(s.dir, "report.json")).Digest
	for _, says := range []string{"Pushed image", "Image already present"} {
		r := s.save(inside...)
		if !strings.Contains(r.Output, says) || savedReport(t, filepath.Join(s.dir, "report.json")).Digest != plain {
			t.Errorf("want %q of %s:\n%s", says, plain, r.Output)
		}
	}
	r := s.dotnet(s.saved("-p:ContainerArchiveOutputPath=x.tar", "-p:GantryLayoutPath=layout")...)
	wantError(t, r, "GANTRY1005", "gantry copy")
}

// TestLayout adds two images to a folder: each stays as it is while the other is published.
func TestLayout(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	calls := s.tool()
	s.showOutputs("console.csproj")
	dir := filepath.Join(s.dir, "images")
	r := s.save("-p:GantryLayoutPath=images", "-p:ContainerRegistry="+s.host)
	called(t, calls, cold)
	says(t, r, "Pushed image 'app:latest' to image layout at '"+dir+"'", "in '' as app:latest")
	s.hasTags("app")
	was := remember(t, filepath.Join(dir, "index.json"))
	r = s.save("-p:GantryLayoutPath=images", "-p:ContainerRegistry="+s.host)
	called(t, calls, "save")
	says(t, r, "Image already present in image layout at '"+dir+"'")
	was.untouched(t)
	s.save("-p:GantryLayoutPath=images", "-p:ContainerRepository=other", "-p:ContainerDescription=other")
	path, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	x, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(x); err != nil {
		t.Error(err)
	}
	if m, err := x.IndexManifest(); err != nil || len(m.Manifests) != 2 {
		t.Errorf("%v, %v", m, err)
	}
}

// TestKey_archive has a key and a destination that has no tags of keys, after a publish to a registry: the image is made, nothing is asked,
// and no document of the earlier publish counts.
func TestKey_archive(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	proxy := s.behind()
	s.push()
	s.tag("app", "latest", "content-k")
	calls := s.tool()
	proxy.Reset()
	archive := filepath.Join(t.TempDir(), "app.tar.gz")
	r := s.must(append(s.publish("-p:ContainerCacheKey=k", "-p:ContainerArchiveOutputPath="+archive, "-p:GantryExplain=true"), "--no-build")...)
	called(t, calls, "resolve-base "+cold+" explain") // with a key the base is asked for all instances of the project
	if got := strings.Count(r.Output, "ContainerCacheKey"); got != 1 || !strings.Contains(r.Output, "it is not looked up for this destination, and the image is made") {
		t.Errorf("said %d times:\n%s", got, r.Output)
	}
	if log := proxy.Log(); strings.Contains(log, "content-") || strings.Contains(log, "/app/") {
		t.Errorf("asked for the key:\n%s", log)
	}
	says(t, r, "the destination is looked at in every publish: Pushed image 'app:latest' to local archive at '"+archive+"'")
	_, digest, _ := s.registry.Manifest("app", "latest")
	says(t, r, "("+digest+")") // the image is the same wherever it goes
}
