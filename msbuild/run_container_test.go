package msbuild

import (
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestContainer_answersHTTP is the whole way: a web project, published through the package, pulled and run by podman.
func TestContainer_answersHTTP(t *testing.T) {
	t.Parallel()
	podman := testenv.NewPodman(t)
	s := newSite(t, "web")
	s.base = testenv.PushRuntimeBase(t, s.registry, "base/aspnet", "10.0").Reference
	s.push()
	url := podman.Serve(s.registry.Reference("app", "latest"), []string{"--read-only", "--user", "1654"})
	for path, want := range map[string]string{"/": `"greeting":"hello from a container"`, "/css/site.css": "{"} {
		res, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: got %d %s %v, want %s in it", path, res.StatusCode, body, err, want)
		}
	}
}

// TestContainer_isAnImageToOthers reads an image with three tools that are not ours.
func TestContainer_isAnImageToOthers(t *testing.T) {
	t.Parallel()
	testenv.Require(t, "skopeo", "umoci")
	s := newSite(t, "web")
	s.push()
	reference := s.registry.Reference("app", "latest")
	if got := output(t, exec.Command("skopeo", "inspect", "--tls-verify=false", "docker://"+reference)); !strings.Contains(got, `"Layers"`) {
		t.Errorf("skopeo: %s", got)
	}
	layout := filepath.Join(t.TempDir(), "layout")
	output(t, exec.Command("skopeo", "copy", "--src-tls-verify=false", "docker://"+reference, "oci:"+layout+":app"))
	bundle := filepath.Join(t.TempDir(), "bundle")
	output(t, exec.Command("umoci", "unpack", "--rootless", "--image", layout+":app", bundle))
	if files := folderFiles(t, filepath.Join(bundle, "rootfs", "app")); files["web.dll"] == "" {
		t.Errorf("umoci unpacked %v", files)
	}
	if err := validate.Image(pull(t, reference)); err != nil {
		t.Error(err)
	}
}
