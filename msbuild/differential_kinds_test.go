package msbuild

import (
	"io/fs"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// differentialKind is a project that is built and published once.
type differentialKind struct {
	// project is one of testdata/projects.
	project string
	// edits change its project file; plain has no reference to Gantry.Containers.
	edits map[string]string
	plain bool
	// rid is the runtime identifier that the project sets.
	rid string
	// tfm is the target framework, net10.0 when empty.
	tfm string
	// files are added to the publish folder, with their modes; a name that ends with a slash is an empty folder.
	files map[string]fs.FileMode
	// links are symbolic links in it, with what they lead to.
	links map[string]string
}

func (k differentialKind) framework() string {
	if k.tfm == "" {
		return "net10.0"
	}
	return k.tfm
}

// noAppHost leaves out what has to be fetched for each target framework and runtime identifier.
const noAppHost = "<UseAppHost>false</UseAppHost><EnableAppHostPackDownload>false</EnableAppHostPackDownload><EnableRuntimePackDownload>false</EnableRuntimePackDownload>"

func framework(tfm string) map[string]string {
	return map[string]string{"<TargetFramework>net10.0</TargetFramework>": "<TargetFramework>" + tfm + "</TargetFramework>" + noAppHost}
}

var differentialKinds = map[string]differentialKind{
	"console":  {project: "console"},
	"console8": {project: "console", edits: framework("net8.0"), tfm: "net8.0"},
	"web":      {project: "web"},
	"web9":     {project: "web", edits: framework("net9.0"), tfm: "net9.0"},
	"worker":   {project: "worker"},
	"worker8":  {project: "worker", edits: framework("net8.0"), tfm: "net8.0"},
	"plain":    {project: "console", plain: true},
	"selfcontained": {project: "console", rid: "linux-x64", edits: map[string]string{
		"<Nullable>": "<RuntimeIdentifier>linux-x64</RuntimeIdentifier><SelfContained>true</SelfContained><Nullable>",
	}},
	"rids": {project: "console", edits: map[string]string{
		"<Nullable>": "<RuntimeIdentifiers>linux-x64;linux-arm64</RuntimeIdentifiers><SelfContained>false</SelfContained>" + noAppHost + "<Nullable>",
	}},
	"files": {project: "console", files: map[string]fs.FileMode{
		".hidden": 0o644, ".git/HEAD": 0o644, "private": 0o600, "run.sh": 0o755, "read-only": 0o444, "empty/": 0, "empty/inner/": 0,
		"größe/grün café.txt": 0o644, "日本語": 0o644, "a b'c\"d;e%20f&g": 0o644,
		"long/" + ninety + "/" + ninety + "/" + ninety + ".txt": 0o644,
		"long/" + ninety + "-of-more-than-a-hundred-characters": 0o644,
		"folder/in it": 0o644,
		"sort/a/x":     0o644, "sort/a.b": 0o644, "sort/a-b": 0o644, "sort/B": 0o644,
	}, links: map[string]string{"link to file": "run.sh", "link to folder": "folder"}},
}

const ninety = "a-name-of-ninety-characters-a-name-of-ninety-characters-a-name-of-ninety-characters-a-name"

var (
	amd64   = basemaker.Platform{OS: "linux", Architecture: "amd64"}
	arm64   = basemaker.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	arm     = basemaker.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	windows = basemaker.Platform{OS: "windows", Architecture: "amd64", OSVersion: "10.0.20348.2402"}
)

type object = map[string]any

// with sets members of the base's run configuration.
func with(members object) func(object) {
	return func(config object) {
		for name, value := range members {
			config[name] = value
		}
	}
}

// differentialBases are the base images, by tag in the repository bases.
var differentialBases = map[string]basemaker.TinyOptions{
	"oci":         {},
	"docker":      {Docker: true},
	"index":       {Platforms: []basemaker.Platform{amd64, arm64}},
	"list":        {Platforms: []basemaker.Platform{amd64, arm64}, Docker: true},
	"arm-index":   {Platforms: []basemaker.Platform{arm, arm64}},
	"one-index":   {Platforms: []basemaker.Platform{amd64}, Index: true},
	"windows":     {Platforms: []basemaker.Platform{windows}, Docker: true},
	"zstd":        {Zstd: true},
	"foreign":     {Foreign: true, Docker: true},
	"no-layers":   {Layers: basemaker.NoLayers},
	"entrypoint":  {Config: with(object{"Entrypoint": []string{"/init", "--"}, "Cmd": []string{"serve"}})},
	"dotnet":      {Config: with(object{"Entrypoint": []string{"dotnet"}, "Cmd": []string{"serve"}})},
	"usr-dotnet":  {Config: with(object{"Entrypoint": []string{"/usr/bin/dotnet"}})},
	"bare":        {Config: func(c object) { delete(c, "Env") }},
	"user":        {Config: with(object{"Env": []string{"PATH=/bin"}, "User": "1001:1002"})},
	"user-and-id": {Config: with(object{"Env": []string{"APP_UID=1654"}, "User": "1001:1002"})},
	"urls":        {Config: with(object{"Env": []string{"ASPNETCORE_URLS=http://+:5000;https://*:5001/path", "ASPNETCORE_HTTP_PORTS=8080"}})},
	"https-ports": {Config: with(object{"Env": []string{"ASPNETCORE_HTTP_PORTS=80;8080", "ASPNETCORE_HTTPS_PORTS=443"}})},
	"rich": {Config: with(object{
		"Labels":       object{"base.label": "kept", "org.opencontainers.image.version": "of the base", "org.opencontainers.image.base.name": "of the base"},
		"ExposedPorts": object{"80/tcp": object{}, "53/udp": object{}, "9000": object{}},
		"Volumes":      object{"/data": object{}}, "StopSignal": "SIGQUIT", "WorkingDir": "/base",
	})},
	"members": {
		Config: with(object{
			"Healthcheck": object{"Test": []string{"CMD", "true"}, "Interval": 1000000000}, "Shell": []string{"/bin/bash", "-c"},
			"OnBuild": []string{"RUN true"}, "Hostname": "of-the-base", "Cmd": []string{"serve"},
		}),
		Document: func(doc object) { doc["variant"], doc["author"] = "v2", "the base's author" },
	},
	"short-history": {Document: func(doc object) { doc["history"] = []object{} }},
}

// differentialBaseSet says what is the base's in an image.
type differentialBaseSet struct {
	layers, created map[string]bool
	// digests of the tags
	digests map[string]string
}

func pushDifferentialBases(t testing.TB, registries ...*testenv.Registry) *differentialBaseSet {
	t.Helper()
	set := &differentialBaseSet{layers: map[string]bool{}, created: map[string]bool{}, digests: map[string]string{}}
	for tag, o := range differentialBases {
		document := o.Document
		o.Document = func(doc object) {
			if document != nil {
				document(doc)
			}
			if at, ok := doc["created"].(time.Time); ok {
				set.created[at.UTC().Format(time.RFC3339Nano)] = true
			}
		}
		for _, r := range registries {
			base := testenv.PushTinyBase(t, r, "bases", tag, o)
			set.digests[tag] = base.Digest
			for _, image := range base.Images {
				for _, layer := range image.Layers {
					set.layers[layer.Digest] = true
				}
			}
		}
	}
	return set
}
