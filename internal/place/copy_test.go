package place

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// copier copies as one process does.
type copier struct {
	t    *testing.T
	said bytes.Buffer
	env  map[string]string
	dir  string
}

func newCopier(t *testing.T) *copier {
	return &copier{t: t, env: map[string]string{}, dir: t.TempDir()}
}

func (c *copier) try(from, to string, o Options) (Result, error) {
	c.t.Helper()
	src, err := Parse(from)
	if err != nil {
		c.t.Fatal(err)
	}
	dst, err := Parse(to)
	if err != nil {
		c.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&c.said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return Copy(c.t.Context(), Deps{
		Registry: registry.New(registry.Options{Log: log}), Records: records.Of(cas.Open(filepath.Join(c.dir, "store"))),
		Log: log, Progress: progress.Discard{}, Getenv: func(name string) string { return c.env[name] },
	}, src, dst, o)
}

func (c *copier) copy(from, to string, o Options) Result {
	c.t.Helper()
	r, err := c.try(from, to, o)
	if err != nil {
		c.t.Fatalf("copy %s %s: %v\n%s", from, to, err, c.said.String())
	}
	return r
}

func line(r Result) string {
	if r.Pushed != nil {
		return r.Pushed.Line()
	}
	return r.Saved.Line()
}

// must runs a tool of the field.
func must(t *testing.T, name string, args ...string) string {
	t.Helper()
	testenv.Require(t, name)
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

var twoPlatforms = []basemaker.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}

// TestCopy_around: an image goes through every place that keeps manifests and comes back as it was, also by skopeo; what is there is not
// sent again.
func TestCopy_around(t *testing.T) {
	for name, o := range map[string]basemaker.TinyOptions{
		"oci":          {Layers: 2},
		"docker":       {Layers: 2, Docker: true},
		"zstd":         {Layers: 2, Zstd: true},
		"index":        {Layers: 2, Platforms: twoPlatforms},
		"docker index": {Layers: 2, Platforms: twoPlatforms, Docker: true},
		"foreign":      {Layers: 1, Foreign: true},
		"no layers":    {Layers: basemaker.NoLayers},
	} {
		t.Run(name, func(t *testing.T) {
			reg := testenv.StartOlareg(t)
			base := testenv.PushTinyBase(t, reg, "base", "1", o)
			c := newCopier(t)
			folder, file := c.dir+"/layout", c.dir+"/a/image.tar"
			for _, step := range []struct{ from, to string }{
				{"docker://" + base.Reference, "oci:" + folder + ":one"},
				{"oci:" + folder + ":one", "oci-archive:" + file + ":team/shop:1.0"},
				{"oci-archive:" + file, reg.Host() + "/copied:1"},
				{reg.Host() + "/copied:1", reg.Host() + "/elsewhere:2"},
			} {
				for again := range 2 {
					r := c.copy(step.from, step.to, Options{})
					if string(r.Digest) != base.Digest {
						t.Errorf("%s: digest %s, want %s", step.to, r.Digest, base.Digest)
					}
					wrote := r.Pushed != nil && r.Pushed.Pushed || r.Saved != nil && r.Saved.Written
					if wrote != (again == 0) {
						t.Errorf("%s, run %d: %s", step.to, again, line(r))
					}
				}
			}
			if _, digest, _ := reg.Manifest("elsewhere", "2"); digest != base.Digest {
				t.Errorf("the registry has %s, want %s", digest, base.Digest)
			}
			if name != "foreign" { // which skopeo would fetch from its URL
				must(t, "skopeo", "copy", "--quiet", "--all", "--preserve-digests", "oci-archive:"+file, "dir:"+c.dir+"/skopeo")
				if body, err := os.ReadFile(c.dir + "/skopeo/manifest.json"); err != nil || string(cas.DigestOf(body)) != base.Digest {
					t.Errorf("skopeo copied %s, %v; want %s", cas.DigestOf(body), err, base.Digest)
				}
			}
			path, err := layout.FromPath(folder)
			if err != nil {
				t.Fatal(err)
			}
			x, err := path.ImageIndex()
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Index(x); err != nil && name != "foreign" && name != "zstd" { // which it does not know
				t.Error(err)
			}
		})
	}
}

// TestCopy_mounts: within one registry nothing is sent but what has no blob to mount.
func TestCopy_mounts(t *testing.T) {
	reg := testenv.StartRegistry(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 3, Platforms: twoPlatforms})
	c := newCopier(t)
	r := c.copy(base.Reference, reg.Host()+"/to:1", Options{Tags: []string{"latest"}})
	if b := r.Pushed.Blobs; b.Uploaded.Count != 0 || b.Mounted.Count != 8 || len(r.Pushed.Tags) != 2 {
		t.Errorf("%+v", r.Pushed)
	}
	r = c.copy(base.Reference, reg.Host()+"/to:arm", Options{Platform: "linux/arm64"})
	if string(r.Digest) == base.Digest || r.Pushed.Pushed {
		t.Errorf("one platform: %s", line(r))
	}
	if _, err := c.try(base.Reference, reg.Host()+"/to:x", Options{Platform: "linux/s390x"}); diag.CodeOf(err) != diag.ImageNotThere ||
		!strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("%v", err)
	}
}

// TestCopy_tools: skopeo and umoci read what was written, and what skopeo writes is read.
func TestCopy_tools(t *testing.T) {
	reg := testenv.StartRegistry(t)
	oci := testenv.PushTinyBase(t, reg, "oci", "1", basemaker.TinyOptions{Layers: 2})
	docker := testenv.PushTinyBase(t, reg, "docker", "1", basemaker.TinyOptions{Layers: 2, Docker: true})
	c := newCopier(t)
	at := func(name string) string { return filepath.Join(c.dir, name) }

	c.copy(oci.Reference, "oci:"+at("layout")+":team/shop:1.0", Options{Tags: []string{"latest"}})
	must(t, "skopeo", "copy", "--dest-tls-verify=false", "oci:"+at("layout")+":team/shop:latest", "docker://"+reg.Host()+"/skopeo:1")
	if _, digest, _ := reg.Manifest("skopeo", "1"); digest != oci.Digest {
		t.Errorf("skopeo copied %s, want %s", digest, oci.Digest)
	}
	c.copy(oci.Reference, "oci:"+at("layout")+":plain", Options{})
	must(t, "umoci", "unpack", "--image", at("layout")+":plain", at("bundle"))
	if entries, err := os.ReadDir(at("bundle/rootfs")); err != nil || len(entries) == 0 {
		t.Errorf("umoci unpacked nothing: %v", err)
	}

	c.copy(docker.Reference, "docker-archive:"+at("docker.tar")+":team/shop:1.0", Options{})
	must(t, "skopeo", "copy", "--dest-tls-verify=false", "docker-archive:"+at("docker.tar")+":docker.io/team/shop:1.0", "docker://"+reg.Host()+"/skopeo:2")
	c.copy(oci.Reference, "oci-archive:"+at("oci.tar")+":team/shop:1.0", Options{Tags: []string{"latest"}})
	must(t, "skopeo", "copy", "--dest-tls-verify=false", "oci-archive:"+at("oci.tar")+":team/shop:1.0", "docker://"+reg.Host()+"/skopeo:3")
	if _, digest, _ := reg.Manifest("skopeo", "3"); digest != oci.Digest {
		t.Errorf("skopeo copied %s, want %s", digest, oci.Digest)
	}

	must(t, "skopeo", "copy", "--src-tls-verify=false", "docker://"+docker.Reference, "docker-archive:"+at("skopeo.tar")+":team/other:1.0")
	first := c.copy("docker-archive:"+at("skopeo.tar"), reg.Host()+"/back:1", Options{})
	second := c.copy("docker-archive:"+at("skopeo.tar")+":docker.io/team/other:1.0", "docker-archive:"+at("again.tar")+":team/other:1.0", Options{})
	third := c.copy("docker-archive:"+at("again.tar"), reg.Host()+"/back:2", Options{})
	if first.Digest != second.Digest || third.Digest != first.Digest || third.Pushed.Pushed {
		t.Errorf("digests %s, %s, %s; %s", first.Digest, second.Digest, third.Digest, line(third))
	}
	must(t, "skopeo", "copy", "--src-tls-verify=false", "docker://"+oci.Reference, "oci:"+at("skopeo")+":x")
	if r := c.copy("oci:"+at("skopeo"), "oci:"+at("layout")+":other", Options{}); string(r.Digest) != oci.Digest || r.Saved.Blobs.Uploaded.Count != 0 {
		t.Errorf("%s", line(r))
	}
}

// TestCopy_sameBytes: two archives of one image are equal, whatever it came from.
func TestCopy_sameBytes(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{Layers: 2, Docker: true})
	c := newCopier(t)
	c.copy(base.Reference, "oci:"+c.dir+"/layout", Options{})
	for _, scheme := range []string{"oci-archive", "docker-archive"} {
		var files [2][]byte
		for i, from := range []string{base.Reference, "oci:" + c.dir + "/layout"} {
			file := fmt.Sprintf("%s/%s%d.tar", c.dir, scheme, i)
			c.copy(from, scheme+":"+file+":app:1", Options{})
			var err error
			if files[i], err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Errorf("%s: the files differ", scheme)
		}
	}
}

// TestCopy_attested: of an image with its attestation, which docker buildx makes an index of, a Docker archive gets the image.
func TestCopy_attested(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base, err := basemaker.Tiny(basemaker.TinyOptions{Layers: 2})
	if err != nil {
		t.Fatal(err)
	}
	index, all, err := basemaker.Attested(base)
	if err == nil {
		err = reg.Target().PushIndex(t.Context(), "attested", "1", index, all)
	}
	if err != nil {
		t.Fatal(err)
	}
	c := newCopier(t)
	for i := range 2 {
		r := c.copy(reg.Reference("attested", "1"), "docker-archive:"+c.dir+"/image.tar:app:1", Options{})
		if string(r.Digest) != base.Images[0].Manifest.Digest || r.Saved.Written != (i == 0) {
			t.Errorf("%d: %s", i, line(r))
		}
	}
	if _, err := c.try(reg.Reference("attested", "1"), "docker-archive:"+c.dir+"/x.tar", Options{Platform: "linux/s390x"}); strings.Contains(fmt.Sprint(err), "unknown/unknown") {
		t.Errorf("an attestation is no platform: %v", err)
	}
}

// TestCopy_refused: what a destination cannot hold, and what a source does not have.
func TestCopy_refused(t *testing.T) {
	reg := testenv.StartOlareg(t)
	index := testenv.PushTinyBase(t, reg, "index", "1", basemaker.TinyOptions{Layers: 1, Platforms: twoPlatforms})
	zstd := testenv.PushTinyBase(t, reg, "zstd", "1", basemaker.TinyOptions{Layers: 1, Zstd: true})
	other := testenv.PushTinyBase(t, reg, "other", "1", basemaker.TinyOptions{Layers: 1, Seed: "other"})
	c := newCopier(t)
	c.copy(index.Reference, "oci:"+c.dir+"/layout:a", Options{})
	c.copy(other.Reference, "oci:"+c.dir+"/layout:b", Options{})
	if err := os.WriteFile(c.dir+"/text", []byte("no archive, and long enough to be looked at"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		from, to string
		want     diag.Code
		says     string
	}{
		{index.Reference, "docker-archive:" + c.dir + "/x.tar", diag.FormatCannotHold, "several platforms"},
		{zstd.Reference, "docker-archive:" + c.dir + "/x.tar", diag.FormatCannotHold, "zstd"},
		{"oci:" + c.dir + "/layout", reg.Host() + "/x:1", diag.ImageNotThere, "name one of: a, b"},
		{"oci:" + c.dir + "/layout:c", reg.Host() + "/x:1", diag.ImageNotThere, "name one of: a, b"},
		{"oci:" + c.dir + "/none", reg.Host() + "/x:1", diag.InvalidArchive, "no OCI image layout"},
		{"oci-archive:" + c.dir + "/text", reg.Host() + "/x:1", diag.InvalidArchive, "no archive of an image"},
		{"oci-archive:" + c.dir + "/none", reg.Host() + "/x:1", diag.InvalidArchive, "cannot be read"},
		{other.Reference, "oci:" + c.dir, diag.InvalidArchive, "has files and is no OCI image layout"},
		{other.Reference, "oci-archive:" + c.dir + "/text/x.tar", diag.ArchiveUnwritable, "cannot be written"},
		{reg.Host() + "/other:none", "oci:" + c.dir + "/y", diag.RepositoryNotFound, "none"},
	} {
		if _, err := c.try(tc.from, tc.to, Options{}); diag.CodeOf(err) != tc.want || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s to %s: %v; want %s with %q", tc.from, tc.to, err, tc.want, tc.says)
		}
	}
	if _, err := os.Stat(c.dir + "/x.tar"); err == nil {
		t.Error("an archive was left")
	}
}

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"r.example/app":               "docker://r.example/app:latest",
		"docker://r.example/app:1":    "docker://r.example/app:1",
		"localhost:5000/app":          "docker://localhost:5000/app:latest",
		"oci:out":                     "oci:out",
		"oci:out:team/shop:1.0":       "oci:out:team/shop:1.0",
		"oci-archive:a.tar":           "oci-archive:a.tar",
		`oci-archive:C:\a.tar:x`:      `oci-archive:C:\a.tar:x`,
		"docker-archive:a.tar:x:1":    "docker-archive:a.tar:x:1",
		"docker-daemon:shop:1":        "docker-daemon:shop:1",
		"docker-daemon:docker.io/a/b": "docker-daemon:docker.io/a/b:latest",
		"podman:team/shop":            "podman:team/shop:latest",
		"containers-storage:x":        "podman:x:latest",
	} {
		p, err := Parse(in)
		if err != nil || p.String() != want {
			t.Errorf("%s: %s, %v; want %s", in, p, err, want)
		}
	}
	for _, in := range []string{"oci:", "ftp://x/y", "docker://", "podman:", "docker-daemon:A B", "oci-archive::x"} {
		if p, err := Parse(in); err == nil || diag.CodeOf(err) == diag.Internal {
			t.Errorf("%s: %s, %v", in, p, err)
		}
	}
}
