package registriesconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/tomltext"
)

// Env names the file that replaces the user's and the system's.
const Env = "CONTAINERS_REGISTRIES_CONF"

// Paths are where configuration may be.
type Paths struct {
	Named  string // must be there when set
	User   string // folder with registries.conf and registries.conf.d
	System string // the same for all users
}

// DefaultPaths are those of this machine and user.
func DefaultPaths(getenv func(string) string) Paths {
	p := Paths{Named: getenv(Env)}
	if runtime.GOOS != "windows" {
		p.System = "/etc/containers"
	}
	home := getenv("HOME")
	if runtime.GOOS == "windows" {
		home = getenv("USERPROFILE")
	}
	if home != "" { // XDG_CONFIG_HOME does not count, as with containers/image
		p.User = filepath.Join(home, ".config", "containers")
	}
	return p
}

// Load reads the files. What is not there says nothing. Fails with GANTRY5010.
func Load(p Paths) (*Config, error) {
	main, dirs, err := p.choose()
	if err != nil {
		return nil, err
	}
	files := []string{main}
	for _, dir := range dirs {
		more, err := filepath.Glob(filepath.Join(escape(dir), "*.conf"))
		if err != nil {
			return nil, bad(dir, err)
		}
		slices.Sort(more)
		files = append(files, more...)
	}
	c := &Config{}
	for _, file := range files {
		if file == "" {
			continue
		}
		data, err := read(file)
		if err != nil {
			return nil, bad(file, err)
		}
		says, err := parse(data, file)
		if err != nil {
			return nil, bad(file, err)
		}
		c.merge(says)
	}
	return c, nil
}

// choose returns the main file, empty for none, and the folders of further ones.
func (p Paths) choose() (main string, dirs []string, err error) {
	const name, more = "registries.conf", "registries.conf.d"
	for _, dir := range []string{p.System, p.User} {
		if dir != "" {
			dirs = append(dirs, filepath.Join(dir, more))
		}
	}
	if p.Named != "" {
		return p.Named, dirs, nil
	}
	for _, dir := range []string{p.User, p.System} {
		file := filepath.Join(dir, name)
		if dir == "" {
			continue
		}
		switch _, err := os.Stat(file); {
		case err == nil && dir == p.User:
			return file, []string{filepath.Join(dir, more)}, nil
		case err == nil:
			return file, dirs, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", nil, bad(file, err)
		}
	}
	return "", dirs, nil
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > tomltext.Max {
		return nil, fmt.Errorf("the file has more than %d bytes", tomltext.Max)
	}
	return os.ReadFile(file)
}

func bad(file string, err error) error {
	return diag.Wrap(diag.BadRegistriesConf, err, file, "repair it, or set "+Env+" to another file")
}

// escape takes the meaning of patterns from a folder's name.
func escape(dir string) string {
	if runtime.GOOS == "windows" {
		return dir
	}
	var out []rune
	for _, r := range dir {
		if r == '*' || r == '?' || r == '[' || r == '\\' {
			out = append(out, '\\')
		}
		out = append(out, r)
	}
	return string(out)
}
