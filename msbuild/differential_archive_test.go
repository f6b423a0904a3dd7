package msbuild

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// archives: ContainerArchiveOutputPath wins over the registry that every case has. What is in an archive is compared as what lands in
// a registry, and the archive itself file by file.
var archiveCases = []differentialCase{
	{name: "archive", archive: "out/image.tar.gz", xml: archiveTo("out/image.tar.gz") + properties("ContainerImageTags", "1.0;latest"), differs: []difference{archiveBytes, archiveForDocker, archivePlatform}},
	{name: "archive-docker", base: "docker", archive: "out/image.tar", xml: archiveTo("out/image.tar") + properties("ContainerImageTags", "1.0;latest"), differs: []difference{archiveBytes}},
	{name: "archive-as-docker", archive: "image.tar", xml: archiveTo("image.tar") + format("Docker"), differs: []difference{archiveBytes}},
	{name: "archive-folder", base: "docker", archive: "out/cases/archive-folder.tar.gz", xml: archiveTo("out/"), differs: []difference{archiveBytes}},
	{name: "archive-no-extension", base: "docker", archive: "out/cases/archive-no-extension.tar.gz", xml: archiveTo("out"), differs: []difference{archiveBytes}},
	{name: "archive-rids", kind: "rids", base: "index", archive: "image.tar", xml: archiveTo("image.tar") + properties("ContainerImageTags", "1.0;latest"), differs: []difference{archiveBytes, archivePlatform, archiveOrder}},
	{name: "archive-rids-as-docker", kind: "rids", base: "list", archive: "image.tar", xml: archiveTo("image.tar") + format("Docker"), differs: []difference{archiveBytes, archivePlatform, archiveOrder, mediaTypesFollow}},
	{name: "archive-below-a-file", archive: "console.csproj/image.tar", xml: archiveTo("console.csproj/image.tar"), code: "MSB4018", differs: []difference{{
		what: "An archive that cannot be written is `GANTRY5014`", why: "the SDK's task crashes with MSB4018", facts: []factPair{{"error", "MSB4018", "GANTRY5014"}},
	}}},
	{name: "local-registry-unknown", xml: properties("ContainerRegistry", "", "LocalRegistry", "lxc"), code: "MSB4018", differs: []difference{{
		what: "An unknown `LocalRegistry` is `CONTAINER2002`", why: instructionCode.why, facts: []factPair{{"error", "MSB4018", "CONTAINER2002"}},
	}}},
}

var (
	archiveBytes = difference{
		what:  "The entries of an archive have the time 1970-01-01T00:00:00Z and no owner",
		why:   "the same image gives the same bytes; the SDK takes time and owner of the layers' files in its cache",
		facts: []factPair{{"archive times", "20*", "1970-01-01T00:00:00Z"}, {"archive owners", "*", "0/0"}},
	}
	archiveForDocker = difference{
		what: "An OCI archive of one platform has Docker's `manifest.json` too",
		why:  "`podman load` takes no OCI archive with two names without it, and `docker load` none where images are not in containerd's store",
		facts: []factPair{
			{"archive entry manifest.json", "", "1"},
			{"archive manifest.json", "", "*"},
			{"archive order", "* MANIFEST index.json oci-layout", "* MANIFEST manifest.json index.json oci-layout"},
		},
	}
	archivePlatform = difference{
		what:  "The `index.json` of an archive has no empty `platform`",
		why:   "a platform needs an operating system and an architecture, or it is none",
		facts: []factPair{{"archive index.json", `*"platform":{}*`, "*"}},
	}
	archiveOrder = difference{
		what:  "The manifests of an archive for several platforms come after all layers and configurations",
		why:   "what two platforms share is in the archive once",
		facts: []factPair{{"archive order", "*", "* MANIFEST MANIFEST INDEX index.json oci-layout"}},
	}
)

func archiveTo(path string) string { return properties("ContainerArchiveOutputPath", path) }

// archived is an archive that a case made.
type archived struct {
	*landing
	file    string
	names   []string
	bodies  map[string][]byte
	headers []*tar.Header
}

// readArchive makes facts of the archive itself and brings what it holds into the repository of the case, where the rest is read. There is
// nothing when there is no archive.
func (l *landing) readArchive(file string) facts {
	l.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		return facts{}
	}
	defer f.Close()
	a := &archived{landing: l, file: file, bodies: map[string][]byte{}}
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			l.t.Fatal(err)
		}
		body, err := io.ReadAll(tr)
		if err != nil {
			l.t.Fatal(err)
		}
		a.names, a.headers, a.bodies[h.Name] = append(a.names, h.Name), append(a.headers, h), body
	}
	a.push()
	found := a.facts()
	maps.Copy(found, l.read())
	return found
}

// push brings the image to the registry.
func (a *archived) push() {
	a.t.Helper()
	if _, isOCI := a.bodies["oci-layout"]; isOCI {
		a.pushLayout()
		return
	}
	var list []struct{ RepoTags []string }
	a.decode(a.bodies["manifest.json"], &list)
	for _, tag := range list[0].RepoTags {
		t, err := name.NewTag(tag)
		if err != nil {
			a.t.Fatal(err)
		}
		img, err := tarball.ImageFromPath(a.file, &t)
		if err == nil {
			err = remote.Write(a.reference(t.TagStr()), img)
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *archived) pushLayout() {
	a.t.Helper()
	dir, err := os.MkdirTemp(filepath.Dir(a.file), "layout")
	if err != nil {
		a.t.Fatal(err)
	}
	for path, body := range a.bodies {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755); err != nil {
			a.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), body, 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		a.t.Fatal(err)
	}
	index, err := top.IndexManifest()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, m := range index.Manifests {
		ref := a.reference(m.Annotations["org.opencontainers.image.ref.name"])
		if m.MediaType.IsIndex() {
			x, err := top.ImageIndex(m.Digest)
			if err == nil {
				err = remote.WriteIndex(ref, x)
			}
			if err != nil {
				a.t.Fatal(err)
			}
			continue
		}
		img, err := top.Image(m.Digest)
		if err == nil {
			err = remote.Write(ref, img)
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *archived) reference(tag string) name.Reference {
	a.t.Helper()
	ref, err := name.ParseReference(a.registry.Reference(a.repository, tag))
	if err != nil {
		a.t.Fatal(err)
	}
	return ref
}

var (
	hexDigest = regexp.MustCompile(`[0-9a-f]{64}`)
	jsonSize  = regexp.MustCompile(`"size":\d+`)
)

// facts are those of the tar file: its entries in their order, with a word in place of each digest, and the documents that are no part of
// the image.
func (a *archived) facts() facts {
	roles := a.contentRoles()
	say := func(text string) string {
		return hexDigest.ReplaceAllStringFunc(text, func(hex string) string { return roles[hex] })
	}
	out := facts{}
	times, owners, modes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var order []string
	count := map[string]int{}
	for _, h := range a.headers {
		count[say(h.Name)]++
		order = append(order, strings.TrimPrefix(say(h.Name), "blobs/sha256/"))
		times[h.ModTime.UTC().Format("2006-01-02T15:04:05Z")] = true
		owners[strings.TrimSuffix(fmt.Sprintf("%d/%d %s/%s", h.Uid, h.Gid, h.Uname, h.Gname), " /")] = true
		modes[fmt.Sprintf("%c %o", h.Typeflag, h.Mode)] = true
	}
	out["archive order"] = strings.Join(order, " ")
	for entry, n := range count {
		out["archive entry "+entry] = fmt.Sprint(n)
	}
	for fact, set := range map[string]map[string]bool{"archive times": times, "archive owners": owners, "archive modes": modes} {
		out[fact] = strings.Join(slices.Sorted(maps.Keys(set)), ", ")
	}
	for _, file := range []string{"index.json", "oci-layout", "manifest.json"} {
		if body, ok := a.bodies[file]; ok {
			out["archive "+file] = jsonSize.ReplaceAllString(say(compactJSON(body)), `"size":N`)
		}
	}
	return out
}

// contentRoles is what each blob is: a manifest has layers, an index manifests, a configuration history; of layers the base's are told apart.
func (a *archived) contentRoles() map[string]string {
	out := map[string]string{}
	app := 0
	for _, path := range a.names {
		hex := hexDigest.FindString(path)
		body := a.bodies[path]
		var doc map[string]json.RawMessage
		switch {
		case hex == "":
		case json.Unmarshal(body, &doc) != nil:
			out[hex] = "LAYER-OF-THE-BASE"
			if !a.bases.layers["sha256:"+hex] {
				app++
				out[hex] = fmt.Sprintf("LAYER-OF-THE-APP-%d", app)
			}
		case doc["manifests"] != nil:
			out[hex] = "INDEX"
		case doc["layers"] != nil:
			out[hex] = "MANIFEST"
		default:
			out[hex] = "CONFIG"
		}
	}
	return out
}
