package msbuild

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/explain"
)

// TestRuntimeIdentifiers_archive has the images of two platforms and their index in one OCI archive, and then in a layout.
func TestRuntimeIdentifiers_archive(t *testing.T) {
	t.Parallel()
	s := newSite(t, "rids")
	calls := s.tool()
	archivePath := "bin/Release/net10.0/linux-x64/publish/out/app.tar" // no part of the image whose folder it is in
	file := filepath.Join(s.dir, filepath.FromSlash(archivePath))
	// a format that the images of an archive cannot have, as with the SDK
	args := append([]string{"publish", "--no-restore", "-p:ContainerImageFormat=Docker", "-p:GantryReport=report.json"}, s.saved()[2:]...)
	archive := append(slices.Clone(args), "-p:ContainerArchiveOutputPath="+archivePath)
	r := s.must(append(archive, "-getProperty:GeneratedImageIndex", "-getProperty:GeneratedArchiveOutputPath", "-getProperty:GeneratedContainerDigest",
		"-getItem:GeneratedContainer", "-getItem:GeneratedContainerName")...)
	out := outputs(t, r.Stdout)
	if got := calls(); len(got) != 1+1+2*7 { // the base and the index once
		t.Errorf("called %q", got)
	}
	if out.Properties["GeneratedArchiveOutputPath"] != archivePath || out.Properties["GeneratedContainerDigest"] != "" || len(out.Items["GeneratedContainerName"]) != 0 {
		t.Errorf("got %v, %v", out.Properties, out.Items["GeneratedContainerName"])
	}
	images := map[string]bool{} // each is there twice, as with the SDK
	for _, item := range out.Items["GeneratedContainer"] {
		images[item["ManifestDigest"]] = true
		if !strings.Contains(out.Properties["GeneratedImageIndex"], item["ManifestDigest"]) || item["ManifestMediaType"] != "application/vnd.oci.image.manifest.v1+json" {
			t.Errorf("got %s of %s", item["ManifestDigest"], item["ManifestMediaType"])
		}
	}
	if len(images) != 2 {
		t.Errorf("got %v", images)
	}
	if did := savedReport(t, filepath.Join(s.dir, "report.json")); !did.Written || did.Where != file {
		t.Errorf("got %+v", did)
	}
	if got := tarEntries(t, file); !slices.Contains(got, "index.json") || slices.Contains(got, "manifest.json") {
		t.Errorf("got %q", got)
	}

	was := remember(t, file)
	r = s.must(archive...)
	if got := calls(); strings.Join(got, " ") != "resolve-base save save save" {
		t.Errorf("called %q", got)
	}
	was.untouched(t)
	says(t, r, "Image already present in local archive at '"+file+"'")
	report, text := s.explain()
	var folders []string
	for _, f := range report.Folders {
		folders = append(folders, f.RuntimeIdentifier)
		if last := f.Stages[len(f.Stages)-1]; last.Name != "save" || last.State != explain.Skipped {
			t.Errorf("%s:\n%s", f.RuntimeIdentifier, text)
		}
	}
	if got := strings.Join(folders, " "); got != "linux-x64 linux-arm64 index" {
		t.Errorf("folders %s\n%s", got, text)
	}

	s.must(append(args, "-p:GantryLayoutPath=layout", "-p:GantryPlatformTags=false")...)
	path, err := layout.FromPath(filepath.Join(s.dir, "layout"))
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
}
