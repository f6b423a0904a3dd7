package imagelist

import (
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// environment gives variables the values of .env where the environment has none, and that of the project's name.
func (r *composeReader) environment(root *yaml.Node, getenv func(string) (string, bool)) {
	values, err := dotenv(string(r.dir), getenv)
	if err != nil {
		r.invalid("", "%v", err)
	}
	r.in.getenv = func(name string) (string, bool) {
		if v, ok := getenv(name); ok {
			return v, true
		}
		v, ok := values[name]
		return v, ok
	}
	const project = "COMPOSE_PROJECT_NAME"
	if _, ok := r.in.getenv(project); ok {
		return
	}
	name := projectName(filepath.Base(string(r.dir)))
	for _, f := range fields(root) {
		if f.key == "name" && !isNull(f.value) {
			name, _ = r.text("name", f.value)
		}
	}
	known := r.in.getenv
	r.in.getenv = func(variable string) (string, bool) {
		if variable == project {
			return name, true
		}
		return known(variable)
	}
}

// projectName is what Compose makes of a folder's name.
func projectName(folder string) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			return c
		}
		return -1
	}, strings.ToLower(folder))
	return strings.TrimLeft(name, "_-")
}

// overrides warns of a file that Compose puts over this one where no file is named.
func (r *composeReader) overrides() {
	name, extension, _ := strings.Cut(r.file, ".")
	if name != "compose" && name != "docker-compose" || extension != "yml" && extension != "yaml" {
		return
	}
	for _, other := range []string{name + ".override.yml", name + ".override.yaml"} {
		if _, err := os.Lstat(r.dir.abs(other)); err == nil {
			r.warning("", other+" is not read: docker compose puts it over this file unless -f names this one; give Gantry what docker compose config prints")
		}
	}
}
