package settings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

// world is a user with a repository.
type world struct {
	t                        *testing.T
	home, repo, deep, config string
	env                      map[string]string
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	w := &world{t: t, home: filepath.Join(dir, "home"), repo: filepath.Join(dir, "repo"), config: filepath.Join(dir, "named.toml")}
	w.deep = filepath.Join(w.repo, "src", "app")
	w.env = map[string]string{"HOME": w.home}
	for _, d := range []string{w.deep, filepath.Join(w.repo, ".git")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) write(file, text string) string {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

func (w *world) source(config string) Source {
	return Source{Getenv: func(k string) string { return w.env[k] }, Dir: w.deep, Config: config, CacheDir: "/default"}
}

func (w *world) load(config string) *Settings {
	w.t.Helper()
	s, err := Load(w.source(config))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestLoad_precedence(t *testing.T) {
	w := newWorld(t)
	check := func(want, from string, config string) {
		t.Helper()
		s := w.load(config)
		if v := s.value("limits.uploads"); v.Text != want || v.From != from {
			t.Errorf("got %s from %s, want %s from %s", v.Text, v.From, want, from)
		}
	}
	check("8", "default", "")
	user := w.write(filepath.Join(w.home, ".config", "gantry", FileName), "[limits]\nuploads = 1\n")
	check("1", user+", line 2", "")
	top := w.write(filepath.Join(w.repo, FileName), "\n[limits]\nuploads = 2\n")
	check("2", top+", line 3", "")
	near := w.write(filepath.Join(w.repo, "src", FileName), "limits.uploads = 3\n")
	check("3", near+", line 1", "")
	above := w.write(filepath.Join(filepath.Dir(w.repo), FileName), "limits.uploads = 99\n")
	check("3", near+", line 1", "")
	w.write(w.config, "[limits]\nuploads=4")
	check("4", w.config+", line 2", w.config)
	w.env[EnvConfig] = w.config
	check("4", w.config+", line 2", "")
	check("3", near+", line 1", near)
	w.env["GANTRY_LIMITS_UPLOADS"] = "5"
	check("5", "$GANTRY_LIMITS_UPLOADS", w.config)
	if got := w.load("").Count("limits.uploads"); got != 5 {
		t.Errorf("got %d", got)
	}

	// what lies above the repository is somebody else's, and outside of a repository only the folder itself counts
	delete(w.env, EnvConfig)
	delete(w.env, "GANTRY_LIMITS_UPLOADS")
	for _, f := range []string{top, near} {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	check("1", user+", line 2", "")
	if err := os.Remove(filepath.Join(w.repo, ".git")); err != nil {
		t.Fatal(err)
	}
	check("1", user+", line 2", "")
	w.deep = filepath.Dir(w.repo)
	check("99", above+", line 1", "")
	w.env["XDG_CONFIG_HOME"] = filepath.Join(w.home, "xdg")
	check("99", above+", line 1", "")
	if got := w.load("").Files; !slices.Equal(got, []string{above}) {
		t.Errorf("got files %q", got)
	}
}

func TestLoad_values(t *testing.T) {
	w := newWorld(t)
	file := w.write(filepath.Join(w.repo, FileName), `
[cache]
dir = "../store"
max-size = 1048576
max-age = "2w"
[limits]
downloads = 16
[timeouts]
connect = "250ms"
stall = "1.5m"
[retries]
attempts = 2
[trust]
layer-keys = false
`)
	s := w.load("")
	store := filepath.Join(filepath.Dir(w.repo), "store")
	if s.value("cache.dir").Text != store || s.Count("limits.downloads") != 16 || s.Duration("timeouts.connect") != 250*time.Millisecond ||
		s.Duration("timeouts.stall") != 90*time.Second || s.Duration("retries.max-wait") != time.Minute || s.Bool("trust.layer-keys") {
		t.Errorf("got %+v", s.Values)
	}
	getenv := s.Getenv(func(k string) string { return "outer " + k })
	for name, want := range map[string]string{
		"GANTRY_CACHE_DIR": store, "GANTRY_CACHE_MAX_SIZE": "1048576", "GANTRY_CACHE_MAX_AGE": "2w",
		"GANTRY_RETRIES_MAX_WAIT": "outer GANTRY_RETRIES_MAX_WAIT", "HOME": "outer HOME",
	} {
		if got := getenv(name); got != want {
			t.Errorf("$%s: got %q, want %q", name, got, want)
		}
	}
	w.env["GANTRY_CACHE_DIR"] = "relative"
	if here, err := filepath.Abs("relative"); err != nil || w.load("").value("cache.dir").Text != here {
		t.Errorf("got %+v, %v", w.load("").value("cache.dir"), err)
	}
	if v := s.value("cache.max-age"); v.From != file+", line 5" {
		t.Errorf("got %s", v.From)
	}
}

func TestLoad_errors(t *testing.T) {
	tests := map[string]struct {
		text string
		code diag.Code
		want string
	}{
		"key":            {"[limits]\nupload = 4\n", diag.UnknownSetting, `FILE, line 2: "limits.upload" is no setting; limits.uploads is meant?`},
		"key of nothing": {"[limits]\n\nzzzzzzzz = 4\n", diag.UnknownSetting, `FILE, line 3: "limits.zzzzzzzz" is no setting; gantry settings lists all`},
		"table":          {"[limit]\nuploads = 4\n", diag.UnknownSetting, `FILE, line 1: "limit" is no setting; [limits] is meant?`},
		"no table":       {"uploads = 4\n", diag.UnknownSetting, `FILE, line 1: "uploads" is no setting; limits.uploads is meant?`},
		"in a string":    {"[limits]\nuploads = '''\n[cache]\n'''\n", diag.BadSetting, "FILE, line 2: limits.uploads: "},
		"dotted":         {"\n[cache]\n[limits]\n\"upload\\u0073\" = '4'\n", diag.BadSetting, "FILE, line 4: limits.uploads: "},
		"inline":         {"[cache]\n\nlimits = 1\n", diag.UnknownSetting, "FILE, line 3: "},
		"nested":         {"[cache]\ndir = " + strings.Repeat("[", 1_000_000), diag.SettingsUnreadable, "line 2: values or the parts of a key stand in one another more than 64 deep"},
		"underscore":     {"[cache]\nmax_size = '1GB'\n", diag.UnknownSetting, `cache.max-size is meant?`},
		"secret":         {"[trust]\nkey-secret = 'x'\n", diag.UnknownSetting, "secrets are never read from this file"},
		"text count":     {"[limits]\nuploads = '4'\n", diag.BadSetting, "FILE, line 2: limits.uploads: it is a text, and has to be a number without quotes"},
		"zero":           {"[limits]\nuploads = 0\n", diag.BadSetting, "0 is not from 1 to 256"},
		"number":         {"[timeouts]\nstall = 60\n", diag.BadSetting, `timeouts.stall: it is a number, and has to be a text such as "30s"`},
		"duration":       {"[timeouts]\nstall = '60'\n", diag.BadSetting, `"60" is no duration: write a number and ms, s, m or h, as in 30s`},
		"too short":      {"[timeouts]\nstall = '10ms'\n", diag.BadSetting, `"10ms" is not from 1s to 24h0m0s`},
		"size":           {"[cache]\nmax-size = 'much'\n", diag.BadSetting, `"much" is no size: write a number and`},
		"negative size":  {"[cache]\nmax-size = -1\n", diag.BadSetting, `it is a number, and has to be a text such as "10GB"`},
		"age":            {"[cache]\nmax-age = '30'\n", diag.BadSetting, `"30" is no age: write a number and`},
		"bool":           {"[trust]\nlayer-keys = 'no'\n", diag.BadSetting, "it is a text, and has to be true or false without quotes"},
		"folder":         {"[cache]\ndir = ''\n", diag.BadSetting, `"" is no folder`},
		"list":           {"limits = [1]\n", diag.BadSetting, "FILE, line 1: limits is a list, and has to be a table; write [limits]"},
		"tables":         {"[[limits]]\nuploads = 1\n", diag.BadSetting, "limits is a list"},
		"too deep":       {"[limits.uploads]\nx = 1\n", diag.BadSetting, "limits.uploads: it is a table, and has to be a number"},
		"no TOML":        {"[limits]\nuploads\n", diag.SettingsUnreadable, "FILE is not TOML: line 2: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			file := w.write(filepath.Join(w.repo, FileName), test.text)
			_, err := Load(w.source(""))
			if want := strings.ReplaceAll(test.want, "FILE", file); diag.CodeOf(err) != test.code || !strings.Contains(err.Error(), want) {
				t.Errorf("got %s %v\nwant %s %s", diag.CodeOf(err), err, test.code, want)
			}
			if diag.ExitCode(err) != diag.ExitBadRequest {
				t.Errorf("exit status %d", diag.ExitCode(err))
			}
		})
	}
	w := newWorld(t)
	if _, err := Load(w.source(w.config)); diag.CodeOf(err) != diag.SettingsUnreadable {
		t.Errorf("a named file that is not there: %v", err)
	}
	w.env["GANTRY_TIMEOUTS_STALL"] = "soon"
	if _, err := Load(w.source("")); diag.CodeOf(err) != diag.BadSetting || !strings.HasPrefix(err.Error(), `GANTRY_TIMEOUTS_STALL: "soon" is no duration`) {
		t.Errorf("a variable: %v", err)
	}
}

// TestTable holds names to their pattern, and defaults to their own rules.
func TestTable(t *testing.T) {
	if !slices.IsSortedFunc(Table, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the table is not sorted")
	}
	for _, s := range Table {
		if s.Default != "" {
			if _, err := s.parse(s.Default); err != nil {
				t.Errorf("%s: its default: %v", s.Name, err)
			}
		}
		if s.Meaning == "" || strings.Count(s.Name, ".") != 1 || s.Name != strings.ToLower(s.Name) {
			t.Errorf("%s", s.Name)
		}
	}
	s, _ := find("cache.max-size")
	if s.Env() != "GANTRY_CACHE_MAX_SIZE" || s.Property() != "GantryCacheMaxSize" {
		t.Errorf("got %s and %s", s.Env(), s.Property())
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("[limits]\nuploads = 4\n")
	f.Add("cache = {dir = 'x', max-size = '1 GiB'}\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(Source{Getenv: func(string) string { return "" }, Config: file})
		if err != nil {
			if code := diag.CodeOf(err); code != diag.UnknownSetting && code != diag.BadSetting && code != diag.SettingsUnreadable {
				t.Errorf("%v", err)
			}
			return
		}
		for _, v := range s.Values {
			if _, err := v.parse(v.Text); err != nil && v.Kind != Folder {
				t.Errorf("%s = %q was taken: %v", v.Name, v.Text, err)
			}
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"30s", "1.5m", "10 ms", "1e3s", "NaNs", "-1s", "9999999h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil && d < 0 {
			t.Errorf("%q is %d", s, d)
		}
	})
}
