package imagelist

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// toolsManifest is the manifest.json of dotnet/docker-tools (src/ImageBuilder/Models/Manifest). Keys are read without regard to case and
// those that build nothing are passed over, as ImageBuilder does. Variables are substituted in tags and build arguments only.
type toolsManifest struct {
	Includes  []string    `json:"includes"`
	Registry  string      `json:"registry"`
	Variables object      `json:"variables"`
	Repos     []toolsRepo `json:"repos"`
}

type toolsRepo struct {
	ID     string       `json:"id"`
	Name   string       `json:"name"`
	Images []toolsImage `json:"images"`
	at     string       // file and key
}

type toolsImage struct {
	ProductVersion *string         `json:"productVersion"`
	SharedTags     object          `json:"sharedTags"`
	Platforms      []toolsPlatform `json:"platforms"`
	at             string
}

type toolsPlatform struct {
	Architecture       string `json:"architecture"`
	BuildArgs          object `json:"buildArgs"`
	Dockerfile         string `json:"dockerfile"`
	DockerfileTemplate string `json:"dockerfileTemplate"`
	OS                 string `json:"os"`
	OSVersion          string `json:"osVersion"`
	Tags               object `json:"tags"`
	Variant            string `json:"variant"`
	members            object
}

// toolsRead are the keys of toolsPlatform, and toolsSilent the one that only arranges CI.
var (
	toolsRead   = []string{"architecture", "buildArgs", "dockerfile", "dockerfileTemplate", "os", "osVersion", "tags", "variant"}
	toolsSilent = []string{"customBuildLegGroups", "customBuildLegGrouping"}
)

// UnmarshalJSON reads the known keys, and keeps all.
func (t *toolsPlatform) UnmarshalJSON(data []byte) error {
	type plain toolsPlatform
	if err := json.Unmarshal(data, (*plain)(t)); err != nil {
		return err
	}
	return json.Unmarshal(data, &t.members)
}

// toolsReader makes specs of a manifest.
type toolsReader struct {
	*problems
	dir       place
	manifest  toolsManifest
	variables *variables
	specs     []Spec
}

func parseDockerTools(p *problems, dir place, data []byte, given map[string]string) []Spec {
	p.lines = map[string]int{}
	r := &toolsReader{problems: p, dir: dir}
	var ok bool
	if r.manifest, ok = r.read(p.file, data); !ok {
		return nil
	}
	for i, include := range r.manifest.Includes {
		r.include(fmt.Sprintf("includes[%d]", i), include)
	}
	r.mergeRepos()
	if len(r.manifest.Repos) == 0 && len(p.errs) == 0 {
		p.invalid("repos", "it names no repository")
	}
	r.variables = newVariables(r.manifest, given)
	for _, repo := range r.manifest.Repos {
		for _, image := range repo.Images {
			r.image(repo, image)
		}
	}
	return r.specs
}

// toolsDepth is that of repos[0].images[0].platforms[0].
const toolsDepth = 6

// read reads the manifest or one that it includes.
func (r *toolsReader) read(file string, data []byte) (toolsManifest, bool) {
	var m toolsManifest
	if err := wholeJSON(data); err != nil {
		r.invalid(strings.TrimPrefix(file+" "+jsonPlace(data, err), r.file+" "), "it is not JSON: %s", jsonText(err))
		return m, false
	}
	if !r.into(strings.TrimPrefix(file, r.file), data, &m, "a manifest of docker-tools") {
		return m, false
	}
	prefix := ""
	if file != r.file {
		prefix = file + ": "
	}
	addJSONLines(r.problems.lines, prefix, data, toolsDepth)
	for i := range m.Repos {
		repo := &m.Repos[i]
		repo.at = fmt.Sprintf("%srepos[%d]", prefix, i)
		for j := range repo.Images {
			repo.Images[j].at = fmt.Sprintf("%s.images[%d]", repo.at, j)
		}
	}
	return m, true
}

// include adds the variables and repositories of another file. What that file includes itself is not read, as ImageBuilder does not.
func (r *toolsReader) include(at, path string) {
	if filepath.IsAbs(filepath.FromSlash(path)) {
		r.invalid(at, "%q has to be relative to the manifest", path)
		return
	}
	data, err := readFile(r.dir.abs(path))
	if err != nil {
		r.invalid(at, "%v", err)
		return
	}
	m, ok := r.read(path, []byte(strings.TrimPrefix(string(data), "\ufeff")))
	if !ok {
		return
	}
	for _, v := range m.Variables {
		if _, twice := r.manifest.Variables.get(v.key); twice {
			r.invalid(at, "the variable %q is there twice", v.key)
			continue
		}
		r.manifest.Variables = append(r.manifest.Variables, v)
	}
	r.manifest.Repos = append(r.manifest.Repos, m.Repos...)
}

// mergeRepos puts the images of repositories with one name together.
func (r *toolsReader) mergeRepos() {
	var merged []toolsRepo
	index := map[string]int{}
	for _, repo := range r.manifest.Repos {
		if repo.Name == "" {
			r.invalid(repo.at, "the repository has no name")
			continue
		}
		i, known := index[repo.Name]
		if !known {
			index[repo.Name] = len(merged)
			merged = append(merged, repo)
			continue
		}
		if merged[i].ID != "" && repo.ID != "" && merged[i].ID != repo.ID {
			r.invalid(repo.at, "the repository %s has the ids %q and %q", repo.Name, merged[i].ID, repo.ID)
		}
		if merged[i].ID == "" {
			merged[i].ID = repo.ID
		}
		merged[i].Images = slices.Concat(merged[i].Images, repo.Images)
	}
	r.manifest.Repos = merged
}

// qualified is a repository with its registry.
func (m *toolsManifest) qualified(repo toolsRepo) string {
	if m.Registry == "" {
		return repo.Name
	}
	return m.Registry + "/" + repo.Name
}

func (r *toolsReader) image(repo toolsRepo, image toolsImage) {
	version := ""
	if image.ProductVersion != nil {
		version, _ = r.substitute(join(image.at, "productVersion"), *image.ProductVersion)
	}
	shared := r.tags(join(image.at, "sharedTags"), image.SharedTags)
	for k, platform := range image.Platforms {
		at := fmt.Sprintf("%s.platforms[%d]", image.at, k)
		if len(r.specs) >= maxImages {
			r.invalid(at, "the list has more than %d images", maxImages)
			return
		}
		info := &InfoKey{Repo: repo.Name, ProductVersion: version, SharedTags: shared}
		if s, ok := r.platform(at, repo, platform, info); ok {
			r.specs = append(r.specs, s)
		}
	}
}

// tags are the names of tags, substituted.
func (r *toolsReader) tags(at string, tags object) []string {
	var out []string
	for _, t := range tags {
		if name, ok := r.substitute(at, t.key); ok {
			out = append(out, name)
		}
	}
	return out
}

func (r *toolsReader) substitute(at, s string) (string, bool) {
	out, err := r.variables.substitute(s)
	if err != nil {
		r.invalid(at, "%v", err)
	}
	return out, err == nil
}

func (r *toolsReader) platform(at string, repo toolsRepo, p toolsPlatform, info *InfoKey) (Spec, bool) {
	before := len(r.errs)
	s := Spec{Origin: r.origin(at), Info: info}
	r.files(at, p, &s)
	if p.OS == "" {
		r.invalid(join(at, "os"), "it is not there")
	}
	architecture := strings.ToLower(p.Architecture)
	if architecture == "" {
		architecture = "amd64"
	}
	platform := strings.ToLower(p.OS) + "/" + architecture
	if p.Variant != "" {
		platform += "/" + strings.ToLower(p.Variant)
	}
	s.Platforms = []string{platform}
	info.set(p.OS, p.OSVersion, architecture, r.tags(join(at, "tags"), p.Tags))
	name := r.manifest.qualified(repo)
	for _, t := range info.SimpleTags {
		s.Tags = append(s.Tags, name+":"+t)
	}
	for _, t := range info.SharedTags {
		s.SharedTags = append(s.SharedTags, name+":"+t)
	}
	s.Name = info.name(platform)
	r.arguments(join(at, "buildArgs"), p.BuildArgs, &s)
	for _, m := range p.members {
		if !slices.ContainsFunc(slices.Concat(toolsRead, toolsSilent), func(k string) bool { return strings.EqualFold(k, m.key) }) {
			s.option(m.key, compact(m.value))
		}
	}
	return s, len(r.errs) == before
}

// files finds the Dockerfile, which may be named by its folder. The context is always the folder that it is in.
func (r *toolsReader) files(at string, p toolsPlatform, s *Spec) {
	for key, path := range map[string]string{"dockerfile": p.Dockerfile, "dockerfileTemplate": p.DockerfileTemplate} {
		if filepath.IsAbs(filepath.FromSlash(path)) {
			r.invalid(join(at, key), "%q has to be relative to the manifest", path)
			return
		}
	}
	if p.Dockerfile == "" {
		r.invalid(join(at, "dockerfile"), "it is not there")
		return
	}
	s.Dockerfile = r.dir.abs(p.Dockerfile)
	if fi, err := os.Stat(s.Dockerfile); err != nil || fi.IsDir() {
		s.Dockerfile = filepath.Join(s.Dockerfile, "Dockerfile")
	}
	s.Context = filepath.Dir(s.Dockerfile)
	if p.DockerfileTemplate != "" {
		s.Template = r.dir.abs(p.DockerfileTemplate)
	}
	rel, err := filepath.Rel(string(r.dir), s.Dockerfile)
	if err != nil {
		rel = s.Dockerfile
	}
	s.Info.Dockerfile = filepath.ToSlash(rel)
}

func (r *toolsReader) arguments(at string, args object, s *Spec) {
	for _, m := range args {
		value, ok := plainText(m.value)
		if !ok {
			r.invalid(join(at, m.key), "it has to be a string")
			continue
		}
		if value != nil {
			text, ok := r.substitute(join(at, m.key), *value)
			if !ok {
				continue
			}
			value = &text
		}
		if s.Args == nil {
			s.Args = map[string]*string{}
		}
		s.Args[m.key] = value
	}
}

// name is unique where the manifest is right: the repository with the first tag, which no other image has. An image that has shared tags
// only is told apart by its system, and one without any tag by its Dockerfile.
func (k *InfoKey) name(platform string) string {
	system := "-" + k.OSVersion + "-" + strings.ReplaceAll(platform, "/", "-")
	switch {
	case len(k.SimpleTags) > 0:
		return k.Repo + ":" + k.SimpleTags[0]
	case len(k.SharedTags) > 0:
		return k.Repo + ":" + k.SharedTags[0] + system
	}
	return k.Repo + ":" + strings.ReplaceAll(k.Dockerfile, "/", "-") + system
}
