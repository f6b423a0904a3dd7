package basemaker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// formatVersion is part of the cache key: a change of what Runtime writes
// raises it.
const formatVersion = "2"

// AppUID is the user that Microsoft's images have for apps.
const AppUID = 1654

// dotnet is the runtime of this machine.
type dotnet struct {
	root       string // the folder of the muxer
	netcore    string // version of Microsoft.NETCore.App
	aspnetcore string // version of Microsoft.AspNetCore.App; empty if not there
	fxr        string // version of hostfxr
}

// RuntimeVersion is the version of the .NET runtime that Runtime would put in
// its image, such as "10.0.12".
func RuntimeVersion() (string, error) {
	d, err := findDotnet()
	return d.netcore, err
}

// Runtime gives an image of five layers that runs framework-dependent .NET
// apps: the machine's own runtime and the shared libraries it needs, as ldd
// names them. There is no ICU in it, so globalization is invariant.
//
// It is made once and kept below cacheDir, in a folder named by what it is
// made from; processes may call at the same time. It needs dotnet and ldd.
func Runtime(ctx context.Context, cacheDir string) (*Image, error) {
	d, err := findDotnet()
	if err != nil {
		return nil, err
	}
	layers, err := d.layers(ctx)
	if err != nil {
		return nil, err
	}
	key, err := keyOf(layers)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return nil, err
	}
	dir := filepath.Join(cacheDir, "gantry-base-"+key)
	lock := flock.New(dir + ".lock")
	if err := lock.Lock(); err != nil {
		return nil, err
	}
	defer lock.Close()
	if image, err := readLayout(dir); err == nil {
		return image, nil
	}
	return d.build(ctx, dir, layers)
}

// build writes the image beside dir and renames it into place.
func (d dotnet) build(ctx context.Context, dir string, layers []tree) (*Image, error) {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "gantry-base-new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	blobs := filepath.Join(tmp, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	var descriptors []Blob
	var diffIDs []string
	for _, t := range layers {
		b, diffID, err := layerFile(ctx, blobs, t)
		if err != nil {
			return nil, err
		}
		descriptors, diffIDs = append(descriptors, b), append(diffIDs, diffID)
	}
	p := Platform{OS: "linux", Architecture: runtime.GOARCH}
	config, err := json.Marshal(d.config(p, diffIDs))
	if err != nil {
		return nil, err
	}
	image, err := NewImage(OCIManifest, NewBlob(OCIConfig, config), descriptors, p)
	if err != nil {
		return nil, err
	}
	if err := writeLayout(ctx, tmp, image); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return nil, err
	}
	return readLayout(dir)
}

func layerFile(ctx context.Context, blobs string, t tree) (Blob, string, error) {
	if err := ctx.Err(); err != nil {
		return Blob{}, "", err
	}
	f, err := os.CreateTemp(blobs, "new-")
	if err != nil {
		return Blob{}, "", err
	}
	defer f.Close()
	diffID, digest, size, err := writeLayer(f, t, asGzip)
	if err != nil {
		return Blob{}, "", err
	}
	name := filepath.Join(blobs, strings.TrimPrefix(digest, "sha256:"))
	if err := os.Rename(f.Name(), name); err != nil {
		return Blob{}, "", err
	}
	return Blob{Descriptor: Descriptor{MediaType: OCILayer, Digest: digest, Size: size}}, diffID, f.Close()
}

// config is what Microsoft's aspnet images have, and invariant globalization.
func (d dotnet) config(p Platform, diffIDs []string) any {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"APP_UID=" + strconv.Itoa(AppUID),
		"ASPNETCORE_HTTP_PORTS=8080",
		"DOTNET_RUNNING_IN_CONTAINER=true",
		"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1",
		"DOTNET_VERSION=" + d.netcore,
	}
	if d.aspnetcore != "" {
		env = append(env, "ASPNET_VERSION="+d.aspnetcore)
	}
	return configDocument(p, map[string]any{"Env": env, "WorkingDir": "/"}, diffIDs)
}

func configDocument(p Platform, config map[string]any, diffIDs []string) map[string]any {
	var history []map[string]any
	for i := range diffIDs {
		history = append(history, map[string]any{
			"created": madeAt, "created_by": fmt.Sprintf("basemaker: layer %d", i+1),
		})
	}
	doc := map[string]any{
		"created": madeAt, "architecture": p.Architecture, "os": p.OS,
		"config":  config,
		"rootfs":  map[string]any{"type": "layers", "diff_ids": diffIDs},
		"history": history,
	}
	if p.Variant != "" {
		doc["variant"] = p.Variant
	}
	if p.OSVersion != "" {
		doc["os.version"] = p.OSVersion
	}
	return doc
}

func findDotnet() (dotnet, error) {
	muxer, err := exec.LookPath("dotnet")
	if err != nil {
		return dotnet{}, err
	}
	if muxer, err = filepath.EvalSymlinks(muxer); err != nil {
		return dotnet{}, err
	}
	d := dotnet{root: filepath.Dir(muxer)}
	d.netcore = newest(filepath.Join(d.root, "shared", "Microsoft.NETCore.App"))
	d.aspnetcore = newest(filepath.Join(d.root, "shared", "Microsoft.AspNetCore.App"))
	d.fxr = newest(filepath.Join(d.root, "host", "fxr"))
	if d.netcore == "" || d.fxr == "" {
		return dotnet{}, fmt.Errorf("%s: no .NET runtime in this folder", d.root)
	}
	return d, nil
}

// newest is the highest version among the folders of dir; previews count less
// than nothing: they are left out when there is a release.
func newest(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	best, bestKey := "", ""
	for _, e := range entries {
		release, preview, _ := strings.Cut(e.Name(), "-")
		key := ""
		if preview == "" {
			key = "r"
		}
		for _, n := range strings.Split(release, ".") {
			key += fmt.Sprintf("%8s", n)
		}
		if e.IsDir() && key+preview > bestKey {
			best, bestKey = e.Name(), key+preview
		}
	}
	return best
}

// layers are the five layers, lowest first: system libraries, the user, the
// host, the two frameworks.
func (d dotnet) layers(ctx context.Context) ([]tree, error) {
	const in = "usr/share/dotnet"
	host, netcore, aspnet := tree{}, tree{}, tree{}
	host[in+"/dotnet"] = entry{mode: 0o755, file: filepath.Join(d.root, "dotnet")}
	host["usr/bin/dotnet"] = entry{mode: 0o777, link: "/" + in + "/dotnet"}
	dirs := []struct {
		t   tree
		rel string
	}{
		{host, "host/fxr/" + d.fxr},
		{netcore, "shared/Microsoft.NETCore.App/" + d.netcore},
	}
	if d.aspnetcore != "" {
		dirs = append(dirs, struct {
			t   tree
			rel string
		}{aspnet, "shared/Microsoft.AspNetCore.App/" + d.aspnetcore})
	}
	for _, x := range dirs {
		if err := addFolder(x.t, filepath.Join(d.root, x.rel), in+"/"+x.rel); err != nil {
			return nil, err
		}
	}
	system, err := systemLibraries(ctx, d.root, host, netcore, aspnet)
	if err != nil {
		return nil, err
	}
	id := strconv.Itoa(AppUID)
	system["etc/passwd"] = entry{mode: 0o644, data: "root:x:0:0:root:/root:/bin/sh\napp:x:" + id + ":" + id + "::/home/app:/bin/sh\n"}
	system["etc/group"] = entry{mode: 0o644, data: "root:x:0:\napp:x:" + id + ":\n"}
	system.addDir("tmp", 0o777|os.ModeSticky, 0)
	user := tree{}
	user.addDir("home/app", 0o755, AppUID)
	return []tree{system, user, host, netcore, aspnet}, nil
}

func addFolder(t tree, dir, in string) error {
	return filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(p, ".so") || filepath.Ext(p) == "" {
			mode = 0o755
		}
		t[in+"/"+filepath.ToSlash(rel)] = entry{mode: mode, file: p}
		return nil
	})
}

// lddLine is "libx.so => /path/libx.so (0x..)" or "/lib64/ld-linux.so.2 (0x..)".
var lddLine = regexp.MustCompile(`(?m)^\s*(?:\S+ => )?(/\S+) \(0x`)

// systemLibraries finds what the runtime's native files are linked to, and
// libssl and libcrypto, which the runtime opens by name.
func systemLibraries(ctx context.Context, root string, in ...tree) (tree, error) {
	var todo []string
	for _, t := range in {
		for name, e := range t {
			if strings.HasSuffix(name, ".so") || strings.HasSuffix(name, "/dotnet") && e.file != "" {
				todo = append(todo, e.file)
			}
		}
	}
	sort.Strings(todo)
	t := tree{}
	for i := 0; i < len(todo); i++ {
		// ldd fails for a file that is not dynamic, and prints what it
		// knows when a library is missing (lttng, which is optional)
		out, _ := exec.CommandContext(ctx, "ldd", todo[i]).Output()
		for _, m := range lddLine.FindAllStringSubmatch(string(out), -1) {
			lib := m[1]
			if strings.HasPrefix(lib, root+"/") || t[lib[1:]].file != "" {
				continue
			}
			t[lib[1:]] = entry{mode: 0o755, file: lib}
			if strings.HasPrefix(filepath.Base(lib), "libc.") {
				todo = append(todo, openSSL(t, filepath.Dir(lib))...)
			}
		}
	}
	if len(t) == 0 {
		return nil, fmt.Errorf("ldd names no shared library for the files of %s", root)
	}
	return t, ctx.Err()
}

func openSSL(t tree, dir string) []string {
	var found []string
	for _, pattern := range []string{"libssl.so.*", "libcrypto.so.*"} {
		// the pattern is valid: there is no error to look at
		names, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, name := range names {
			t[name[1:]] = entry{mode: 0o755, file: name}
			found = append(found, name)
		}
	}
	return found
}

// keyOf names the content by path, size and time of the files: a change of
// the machine's runtime makes another image.
func keyOf(layers []tree) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, formatVersion)
	for i, t := range layers {
		names := make([]string, 0, len(t))
		for name := range t {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			e := t[name]
			var size, changed int64
			if e.file != "" {
				info, err := os.Stat(e.file)
				if err != nil {
					return "", err
				}
				size, changed = info.Size(), info.ModTime().UnixNano()
			}
			fmt.Fprintf(h, "%d %q %o %q %q %d %d\n", i, name, e.mode, e.data, e.link, size, changed)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
