package imagelist

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// skippedFolders are never looked into: what is in them belongs to a tool.
var skippedFolders = []string{".git", ".hg", ".svn", "node_modules"}

// noDockerfile are endings of files that are named like a Dockerfile and are none: ignore files, what editors and merges leave behind,
// templates, texts.
var noDockerfile = []string{
	".dockerignore", ".containerignore", ".bak", ".old", ".orig", ".rej", ".swp", ".tmp", ".license",
	".template", ".tmpl", ".tpl", ".j2", ".jinja", ".jinja2", ".erb", ".in", ".envsubst", ".md", ".txt",
}

// sources are endings of source code about Dockerfiles, such as dockerfile.go. Dockerfile.go is one for Go.
var sources = []string{
	".c", ".cc", ".cpp", ".cs", ".css", ".ejs", ".go", ".h", ".hbs", ".html", ".java", ".js", ".json", ".jsx", ".kt", ".lua", ".php", ".pl", ".proto",
	".py", ".rb", ".rs", ".scm", ".sh", ".snap", ".sublime-syntax", ".swift", ".toml", ".ts", ".tsx", ".vim", ".xml", ".yaml", ".yml",
}

// discover finds the Dockerfiles under a folder: files that are called Dockerfile, Dockerfile.NAME or NAME.Dockerfile, or Containerfile in its
// place, in any case of letters. What .gitignore files leave out is left out. A .dockerignore is not asked: it is of one build, and often
// names the Dockerfiles.
//
// The context of each is its folder, and its name is the folder's from the root, with -NAME behind it. Links to folders are not followed.
func discover(root string, opt Options) ([]Spec, error) {
	p := &problems{file: filepath.Base(root)}
	d := &discovery{root: root, opt: opt, given: parseIgnore("", []byte(strings.Join(opt.Ignore, "\n")))}
	d.walk(p, ".", nil)
	if err := p.err(); err != nil {
		return nil, err
	}
	if len(d.specs) == 0 {
		return nil, diag.New(diag.InvalidImageList, fmt.Sprintf("there is neither a %s nor a Dockerfile in %s", FileName, root),
			"name a list of images, or a folder with Dockerfiles")
	}
	return d.specs, nil
}

type discovery struct {
	root  string
	opt   Options
	given []ignoreRule // of the caller, which count more than those of files
	specs []Spec
}

func (d *discovery) walk(p *problems, dir string, rules []ignoreRule) {
	entries, err := os.ReadDir(filepath.Join(d.root, filepath.FromSlash(dir)))
	if err != nil {
		p.invalid(dir, "the folder cannot be read: %v", err)
		return
	}
	rules = slices.Concat(rules, ignoreFile(d.root, dir))
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		folder := e.IsDir()
		if folder && slices.Contains(skippedFolders, e.Name()) || ignored(slices.Concat(rules, d.given), name, folder) {
			continue
		}
		if folder {
			d.walk(p, name, rules)
			continue
		}
		suffix, ok := dockerfileName(e.Name())
		if !ok || !d.isFile(name, e) {
			continue
		}
		if len(d.specs) >= maxImages {
			p.invalid("", "there are more than %d Dockerfiles", maxImages)
			return
		}
		d.specs = append(d.specs, d.spec(dir, name, suffix))
	}
}

// isFile follows links of files.
func (d *discovery) isFile(name string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Type().IsRegular()
	}
	fi, err := os.Stat(filepath.Join(d.root, filepath.FromSlash(name)))
	return err == nil && fi.Mode().IsRegular()
}

// dockerfileName returns NAME of Dockerfile.NAME and NAME.Dockerfile, and whether the file is called like a Dockerfile, or a Containerfile.
func dockerfileName(file string) (suffix string, ok bool) {
	lower := strings.ToLower(file)
	if slices.ContainsFunc(noDockerfile, func(end string) bool { return strings.HasSuffix(lower, end) }) {
		return "", false
	}
	for _, word := range []string{"dockerfile", "containerfile"} {
		if lower == word {
			return "", true
		}
		if rest, ok := strings.CutPrefix(lower, word+"."); ok && rest != "" {
			if strings.HasPrefix(file, word) && slices.Contains(sources, path.Ext(file)) {
				return "", false
			}
			return rest, true
		}
		if rest, ok := strings.CutSuffix(lower, "."+word); ok && rest != "" {
			return rest, true
		}
	}
	return "", false
}

func (d *discovery) spec(dir, name, suffix string) Spec {
	folder := filepath.Base(d.root)
	if dir != "." {
		folder = dir
	}
	repository := repositoryName(folder)
	if suffix != "" {
		repository = strings.Trim(repository+"-"+repositoryName(suffix), "-")
	}
	s := Spec{
		Name:       repository,
		Origin:     name,
		Context:    filepath.Join(d.root, filepath.FromSlash(dir)),
		Dockerfile: filepath.Join(d.root, filepath.FromSlash(name)),
	}
	if d.opt.Repository != "" {
		s.Tags = []string{strings.TrimSuffix(d.opt.Repository, "/") + "/" + repository + ":latest"}
	}
	return s
}

// repositoryName makes a repository's name of a path: in lower case, and each run of letters that it cannot have is one dash.
func repositoryName(dir string) string {
	var parts []string
	for part := range strings.SplitSeq(strings.ToLower(dir), "/") {
		var b strings.Builder
		for _, c := range part {
			switch {
			case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
				b.WriteRune(c)
			case b.Len() == 0 || strings.HasSuffix(b.String(), "-"): // a name begins with a letter or digit, and a separator stands alone
			case strings.ContainsRune("._", c) && !strings.HasSuffix(b.String(), ".") && !strings.HasSuffix(b.String(), "_"):
				b.WriteRune(c)
			case !strings.HasSuffix(b.String(), ".") && !strings.HasSuffix(b.String(), "_"):
				b.WriteByte('-')
			}
		}
		if text := strings.TrimRight(b.String(), "-._"); text != "" {
			parts = append(parts, text)
		}
	}
	if len(parts) == 0 {
		return "image"
	}
	return strings.Join(parts, "/")
}
