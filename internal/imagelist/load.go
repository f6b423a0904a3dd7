package imagelist

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// FileName is the list of Gantry's own format.
const FileName = "gantry.graph.toml"

// maxBytes is the largest list that is read: 12,800 images of a bake file have about 10 MB.
const maxBytes = 64 << 20

// Format is what a list is written in.
type Format string

// The formats, as a person names them.
const (
	Graph       Format = "graph"        // gantry.graph.toml
	Bake        Format = "bake"         // docker buildx bake --print
	DockerTools Format = "docker-tools" // manifest.json of dotnet/docker-tools
	Compose     Format = "compose"
	Discovery   Format = "discovery" // the Dockerfiles of a folder
)

// Options are what a list needs beside itself.
type Options struct {
	// Format is empty when the file says itself what it is.
	Format Format
	// Dir is the folder that relative paths of the list begin in; empty is that of the file.
	Dir string
	// Getenv is the environment of Compose files. Without it no variable is set.
	Getenv func(name string) (value string, ok bool)
	// Warn is told of likely slips, one sentence each, such as a variable of a Compose file that is not set; nil is nobody.
	Warn func(text string)
	// Variables replace those of a docker-tools manifest.
	Variables map[string]string
	// Repository is put before the repositories of discovered images, "ghcr.io/acme"; without it they have no tags.
	Repository string
	// Ignore are patterns as in .gitignore of what is not discovered.
	Ignore []string
}

// Load reads the list at path. Of a folder it is the gantry.graph.toml in it, and its Dockerfiles where there is none.
func Load(path string, opt Options) ([]Spec, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, diag.Wrap(diag.InvalidImageList, err, "a list of images cannot be read", "change to a folder that exists")
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, diag.Wrap(diag.InvalidImageList, err, "a list of images cannot be read", "check the path")
	}
	if fi.IsDir() {
		file := filepath.Join(path, FileName)
		if _, err := os.Lstat(file); err != nil || opt.Format == Discovery {
			return discover(path, opt)
		}
		path = file
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data, opt)
}

func readFile(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err == nil && fi.Size() > maxBytes {
		err = fmt.Errorf("%s has %d bytes, and at most %d are read", path, fi.Size(), maxBytes)
	}
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(path); err == nil {
			return data, nil
		}
	}
	return nil, diag.Wrap(diag.InvalidImageList, err, "a list of images cannot be read", "check the path and its rights")
}

// Parse reads a list that is not in a file, or whose file was read already. name is what errors call it, and says the folder that relative
// paths begin in where opt.Dir does not.
func Parse(name string, data []byte, opt Options) ([]Spec, error) {
	dir := opt.Dir
	if dir == "" {
		dir = filepath.Dir(name)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, diag.Wrap(diag.InvalidImageList, err, "a list of images cannot be read", "change to a folder that exists")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // which editors on Windows write
	p := &problems{file: filepath.Base(name), warn: opt.Warn}
	format := opt.Format
	if format == "" {
		if format, err = detect(p, name, data); err != nil {
			return nil, err
		}
	}
	var specs []Spec
	switch format {
	case Graph:
		specs = parseGraph(p, place(dir), data)
	case Bake:
		specs = parseBake(p, place(dir), data)
	case DockerTools:
		specs = parseDockerTools(p, place(dir), data, opt.Variables)
	case Compose:
		specs = parseCompose(p, place(dir), data, opt.Getenv)
	default:
		return nil, diag.New(diag.InvalidImageList, fmt.Sprintf("%q is no format of a list of images in a file", format),
			"the formats are graph, bake, docker-tools and compose")
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return specs, nil
}

// detect says what a file is: by its name where that is enough, else by its keys.
func detect(p *problems, name string, data []byte) (Format, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".toml":
		return Graph, nil
	case ".yml", ".yaml":
		return Compose, nil
	case ".hcl":
		p.add(diag.UnsupportedList, "", "a bake file in HCL is read by buildx alone",
			"give Gantry what docker buildx bake --print prints")
		return "", p.err()
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return "", p.one("", "it is no list of images that Gantry knows",
			"the lists are gantry.graph.toml, the JSON of docker buildx bake --print, a docker-tools manifest.json and Compose files")
	}
	top, err := parseObject(data)
	if err != nil {
		return "", p.one(jsonPlace(data, err), "it is not JSON: "+jsonText(err), "")
	}
	return detectJSON(p, top)
}

func detectJSON(p *problems, top object) (Format, error) {
	has := func(key string) bool { _, ok := top.get(key); return ok }
	isInfo := has("schemaVersion")
	switch {
	case has("target") || has("group"):
		return Bake, nil
	case has("repos") && isInfo:
		return "", p.one("", "it is an image-info.json, which says what was built and not what is to be built", "name the manifest.json")
	case has("repos"), has("includes"):
		return DockerTools, nil
	case has("services"):
		return Compose, nil
	}
	return "", p.one("", "it is JSON, and neither of buildx bake nor of docker-tools: it has no target, repos or services", "")
}

// jsonPlace is the line of an error of encoding/json, or nothing.
func jsonPlace(data []byte, err error) string {
	var at *jsonError
	if !errors.As(err, &at) {
		return ""
	}
	line := 1 + bytes.Count(data[:min(max(at.offset, 0), len(data))], []byte("\n"))
	return fmt.Sprintf("line %d", line)
}
