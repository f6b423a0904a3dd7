package msbuild

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
)

// TestDigest_isThatOfTheContent publishes one folder from two places, with other times, another umask, time zone, language and
// number of cores, into two registries.
func TestDigest_isThatOfTheContent(t *testing.T) {
	t.Parallel()
	s := newSite(t, "web")
	digest := func(dir, umask string, environment ...string) string {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", `umask $0; exec "$@"`, umask, packagedTool(t), "publish", dir,
			"--base", s.base, "--to", s.host+"/"+filepath.Base(dir), "--tag", "1")
		// stdout has the digest alone
		cmd.Env = append(testenv.GantryEnvironment(t), append(environment, "GANTRY_CACHE_DIR="+t.TempDir())...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
		}
		return strings.TrimSpace(string(out))
	}
	want := digest(s.publishDir(), "022", "TZ=UTC", "LC_ALL=C", "GOMAXPROCS=1")
	other := filepath.Join(t.TempDir(), "ein anderer Ordner", "other")
	copyWithTimes(t, s.publishDir(), other)
	i := 0
	walk(t, other, func(path string, e fs.DirEntry) {
		i++
		when := time.Date(1990+i%40, 1, i%28, i%24, 0, 0, i, time.UTC)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	})
	if got := digest(other, "077", "TZ=Asia/Kathmandu", "LC_ALL=de_DE.UTF-8", "LANG=tr_TR.UTF-8", "GOMAXPROCS=2"); got != want {
		t.Errorf("got %s in the other folder, want %s", got, want)
	}
	if _, got, _ := s.registry.Manifest("publish", "1"); got != want {
		t.Errorf("stdout says %q, the registry has %s", want, got)
	}
}

// TestDigest_isThatOfTheSources builds two clones of a web app with static files, compressed by each build, in two folders.
func TestDigest_isThatOfTheSources(t *testing.T) {
	t.Parallel()
	var images []v1.Image
	for _, parts := range [][]string{{"one", "web"}, {"two", "deeper", "web"}} {
		s := newSite(t, "web", parts...)
		clean(t, s)
		s.add("web.csproj", `<PropertyGroup>
  <ContinuousIntegrationBuild>true</ContinuousIntegrationBuild>
  <PathMap>$(MSBuildProjectDirectory)=/src</PathMap>
</PropertyGroup>`)
		s.host = s.registry.LocalHost()
		s.must(append([]string{"publish"}, s.container("-p:ContainerBaseImage="+s.registry.LocalHost()+"/base/tiny:1")...)...)
		images = append(images, s.image("app", "latest"))
	}
	sameApart(t, images[0], images[1])
}

// sameApart checks that two images are equal, but for the base's name, which has the registry's port in these tests.
func sameApart(t *testing.T, a, b v1.Image) {
	t.Helper()
	for name, of := range map[string]func(v1.Image) (string, error){
		"layers": func(i v1.Image) (string, error) {
			m, err := i.Manifest()
			return fmt.Sprint(m.Layers), err
		},
		"configuration": func(i v1.Image) (string, error) {
			c, err := i.ConfigFile()
			if err != nil {
				return "", err
			}
			delete(c.Config.Labels, "org.opencontainers.image.base.name")
			for i, h := range c.History {
				// what the topmost layer says of the image counts the base's name in
				if r, ok := image.ParseRecord(h.Comment); ok {
					r.Image = nil
					c.History[i].Comment = r.Comment()
				}
			}
			return fmt.Sprintf("%+v", *c), err
		},
	} {
		one, err := of(a)
		if err != nil {
			t.Fatal(err)
		}
		two, err := of(b)
		if err != nil {
			t.Fatal(err)
		}
		if one != two {
			t.Errorf("the %s differ:\n%s\n%s", name, one, two)
		}
	}
}

// TestEpoch_changesTheAppAlone compares images of one publish folder, without and with SOURCE_DATE_EPOCH.
func TestEpoch_changesTheAppAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, "web")
	s.push("-p:ContainerImageTag=none")
	s.push("-p:ContainerImageTag=property", "-p:SOURCE_DATE_EPOCH=1700000000")
	s.env = append(s.env, "SOURCE_DATE_EPOCH=1700000000")
	s.push("-p:ContainerImageTag=environment")
	_, property, _ := s.registry.Manifest("app", "property")
	_, environment, _ := s.registry.Manifest("app", "environment")
	if property != environment {
		t.Errorf("property: %s, environment: %s", property, environment)
	}
	none, epoch := s.config("app", "none"), s.config("app", "property")
	when := time.Unix(1700000000, 0).UTC()
	if !epoch.Created.Equal(when) {
		t.Errorf("created: got %s, want %s", epoch.Created, when)
	}
	for _, label := range []string{"org.opencontainers.image.created", "org.opencontainers.artifact.created"} {
		got, err := time.Parse(time.RFC3339Nano, epoch.Config.Labels[label])
		if err != nil || !got.Equal(when) {
			t.Errorf("%s: got %q", label, epoch.Config.Labels[label])
		}
		if got, ok := none.Config.Labels[label]; ok {
			t.Errorf("%s without an epoch: got %q", label, got)
		}
		delete(epoch.Config.Labels, label)
	}
	// the layers: three of the base, larger packages, packages, the app
	if a, b := none.RootFS.DiffIDs, epoch.RootFS.DiffIDs; len(a) != 6 || !slices.Equal(a[:5], b[:5]) || a[5] == b[5] {
		t.Errorf("layers: got %v and %v", a, b)
	}
	for i := range epoch.History {
		epoch.History[i].Created, none.History[i].Created = v1.Time{}, v1.Time{}
	}
	app := len(epoch.History) - 1 // its record names the layer and all that the image is made of
	epoch.History[app].Comment, none.History[app].Comment = "", ""
	epoch.Created, epoch.RootFS.DiffIDs = none.Created, none.RootFS.DiffIDs
	if a, b := fmt.Sprintf("%+v", *none), fmt.Sprintf("%+v", *epoch); a != b {
		t.Errorf("more differs:\n%s\n%s", a, b)
	}
}
