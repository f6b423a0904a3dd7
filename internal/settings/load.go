package settings

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/tomltext"
)

// FileName is that of the user's and a repository's file.
const FileName = "gantry.toml"

// EnvConfig names a file like the flag --config.
const EnvConfig = "GANTRY_CONFIG"

// EnvDir names the folder from which a repository's file is looked for, in place of the working directory: the stages of a build run in
// folders of their own.
const EnvDir = "GANTRY_SETTINGS_DIR"

const fromDefault = "default"

// Source is where settings are looked for.
type Source struct {
	Getenv func(string) string
	Dir    string // the working directory
	Config string // --config; empty for none
	// CacheDir is the content store when nothing is set, for display.
	CacheDir string
}

// Load reads all settings. Fails with GANTRY1013 for a key that is not known, GANTRY1014 for a value that cannot be used, GANTRY1015 for a
// file that cannot be read.
func Load(from Source) (*Settings, error) {
	s := &Settings{}
	for _, t := range Table {
		v := Value{Setting: t, Text: t.Default, From: fromDefault}
		if t.Name == "cache.dir" {
			v.Text = from.CacheDir
		}
		s.Values = append(s.Values, v)
	}
	named := cmp.Or(from.Config, from.Getenv(EnvConfig))
	for _, file := range []string{userFile(from.Getenv), repositoryFile(from.Dir), named} {
		if file == "" {
			continue
		}
		if err := s.read(file, file == named); err != nil {
			return nil, err
		}
	}
	for i := range s.Values {
		v := &s.Values[i]
		text := from.Getenv(v.Env())
		if text == "" {
			continue
		}
		_, err := v.parse(text)
		if err != nil {
			return nil, diag.Wrap(diag.BadSetting, withoutHint(err), v.Env(), "repair or remove the variable or property")
		}
		if v.Kind == Folder {
			if text, err = filepath.Abs(text); err != nil {
				return nil, diag.Wrap(diag.BadSetting, err, v.Env(), "write an absolute path")
			}
		}
		v.Text, v.From = text, "$"+v.Env()
	}
	return s, nil
}

// withoutHint is an error without what to do, which is said once.
func withoutHint(err error) error {
	var coded *diag.Error
	if errors.As(err, &coded) {
		return errors.New(coded.What + ": " + coded.Hint)
	}
	return err
}

// userFile is the user's file, which may not be there.
func userFile(getenv func(string) string) string {
	dir, home := getenv("XDG_CONFIG_HOME"), getenv("HOME")
	if runtime.GOOS == "windows" && dir == "" {
		dir = getenv("AppData")
	}
	switch {
	case dir != "":
		return filepath.Join(dir, "gantry", FileName)
	case home != "":
		return filepath.Join(home, ".config", "gantry", FileName)
	}
	return ""
}

// repositoryFile is the nearest file from dir upwards, no further than the folder that has .git; empty when there is none. Outside of a
// repository only dir itself counts: a file in a folder such as /tmp is somebody else's.
func repositoryFile(dir string) string {
	nearest, first := "", ""
	for at := dir; at != ""; {
		file := filepath.Join(at, FileName)
		if _, err := os.Lstat(file); err == nil && nearest == "" {
			nearest = file
		}
		if at == dir {
			first = nearest
		}
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return nearest
		}
		parent := filepath.Dir(at)
		if parent == at {
			break
		}
		at = parent
	}
	return first
}

// read takes the settings of a file. One that is not there is an error when it was named.
func (s *Settings) read(file string, named bool) error {
	data, err := readFile(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return diag.Wrap(diag.SettingsUnreadable, err, "settings cannot be read", "name another file, or check its rights")
	}
	d, err := tomltext.Parse(data, tomltext.Max)
	if err != nil {
		return diag.Wrap(diag.SettingsUnreadable, err, file+" is not TOML", "repair it")
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return diag.Wrap(diag.SettingsUnreadable, err, file, "change to a folder that exists")
	}
	s.Files = append(s.Files, file)
	for _, path := range d.Keys {
		if err := s.take(d, file, dir, path); err != nil {
			return err
		}
	}
	return nil
}

func readFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > tomltext.Max {
		return nil, fmt.Errorf("%s has more than %d bytes", file, tomltext.Max)
	}
	return os.ReadFile(file)
}

// take sets what one key of a file says.
func (s *Settings) take(d *tomltext.Document, file, dir string, path []string) error {
	name := strings.Join(path, ".")
	where := fmt.Sprintf("%s, line %d", file, d.Line(name))
	value := lookUp(d.Values, path)
	if len(path) == 1 && isTable(name) {
		if _, ok := value.(map[string]any); ok {
			return nil
		}
		return diag.New(diag.BadSetting, fmt.Sprintf("%s: %s is %s, and has to be a table", where, name, typeName(value)), "write ["+name+"]")
	}
	t, known := find(name)
	if !known {
		return unknown(where, name)
	}
	text, err := t.text(value, dir)
	if err == nil {
		_, err = t.parse(text)
	}
	if err != nil {
		return diag.Wrap(diag.BadSetting, withoutHint(err), where+": "+name, "gantry settings lists all with their kinds")
	}
	v := s.value(name)
	v.Text, v.From = text, where
	return nil
}

func isTable(name string) bool {
	for _, t := range Table {
		if strings.HasPrefix(t.Name, name+".") {
			return true
		}
	}
	return false
}

func lookUp(values map[string]any, path []string) any {
	for _, k := range path[:len(path)-1] {
		values, _ = values[k].(map[string]any)
	}
	return values[path[len(path)-1]]
}
