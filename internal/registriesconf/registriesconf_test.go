package registriesconf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
)

func config(t *testing.T, text string) *Config {
	t.Helper()
	says, err := parse([]byte(text), "registries.conf")
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{}
	c.merge(says)
	return c
}

func TestMatch(t *testing.T) {
	tests := []struct {
		name, prefix string
		want         int
	}{
		{"example.com/foo/bar", "example.com", 11},
		{"example.com/foo/bar", "example.com/foo", 15},
		{"example.com/foobar", "example.com/foo", -1},
		{"example.com/foo:1", "example.com/foo", 15},
		{"example.com/foo:1", "example.com/foo:1", 17},
		{"example.com/foo:10", "example.com/foo:1", -1},
		{"example.com/foo@sha256:00", "example.com/foo", 15},
		{"example.com:5000/foo", "example.com", -1},
		{"example.com:5000/foo", "example.com:5000", 16},
		{"example.com.evil/foo", "example.com", -1},
		{"a.example.com/foo", "*.example.com", 13},
		{"b.a.example.com:5000/foo", "*.example.com", 15},
		{"example.com/foo", "*.example.com", -1},
		{"evilexample.com/foo", "*.example.com", -1},
		{"evil.com/a.example.com/foo", "*.example.com", -1},
	}
	for _, test := range tests {
		if got := match(test.name, test.prefix); got != test.want {
			t.Errorf("%s in %s: got %d, want %d", test.prefix, test.name, got, test.want)
		}
	}
}

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestSources(t *testing.T) {
	c := config(t, `
unqualified-search-registries = ["docker.io"]

[[registry]]
prefix = "example.com/foo"
location = "inner.example.net/bar"
insecure = true
[[registry.mirror]]
location = "mirror-0.local/for-foo"
[[registry.mirror]]
location = "mirror-1.local:5000/foo/"
insecure = true

[[registry]]
location = "example.com"

[[registry]]
location = "digests.example"
mirror-by-digest-only = true
[[registry.mirror]]
location = "m.local"

[[registry]]
location = "each.example"
[[registry.mirror]]
location = "d.local"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "t.local"
pull-from-mirror = "tag-only"
[[registry.mirror]]
location = "a.local"
pull-from-mirror = "all"

[[registry]]
prefix = "*.wild.example"
[[registry.mirror]]
location = "m.local/wild"

[[registry]]
prefix = "docker.io/library"
location = "hub.local/lib"
`)
	tests := []struct{ name, ref, want string }{
		{"example.com/foo/image", "latest", "mirror-0.local/for-foo/image, mirror-1.local:5000/foo/image (insecure), inner.example.net/bar/image (insecure)"},
		{"example.com/foo", "latest", "mirror-0.local/for-foo, mirror-1.local:5000/foo (insecure), inner.example.net/bar (insecure)"},
		{"example.com/other", "latest", "example.com/other"},
		{"elsewhere.com/foo", "latest", ""},
		{"digests.example/x", "1", "digests.example/x"},
		{"digests.example/x", digest, "m.local/x, digests.example/x"},
		{"each.example/x", "1", "t.local/x, a.local/x, each.example/x"},
		{"each.example/x", digest, "d.local/x, a.local/x, each.example/x, t.local/x"},
		{"a.b.wild.example:444/x/y", "1", "m.local/wild/x/y, a.b.wild.example:444/x/y"},
		{"docker.io/library/alpine", "3", "hub.local/lib/alpine"},
		{"docker.io/grafana/grafana", "3", ""},
	}
	for _, test := range tests {
		sources, ok := c.Sources(test.name, test.ref)
		var out []string
		for _, s := range sources {
			out = append(out, s.Name+map[bool]string{true: " (insecure)"}[s.Insecure])
		}
		if got := strings.Join(out, ", "); got != test.want || ok != (test.want != "") {
			t.Errorf("%s %s: got %s, want %s", test.name, test.ref, got, test.want)
		}
	}
}

func TestFind_version1(t *testing.T) {
	c := config(t, "[registries.search]\nregistries = ['a']\n[registries.insecure]\nregistries = ['b.example', 'c.example:5000/']\n[registries.block]\nregistries = ['d.example', 'b.example']\n")
	for name, want := range map[string]Rule{
		"b.example/x":      {Insecure: true, Blocked: true, File: "registries.conf", Prefix: "b.example"},
		"c.example:5000/x": {Insecure: true, File: "registries.conf", Prefix: "c.example:5000"},
		"d.example/x":      {Blocked: true, File: "registries.conf", Prefix: "d.example"},
		"a/x":              {},
	} {
		if got, _ := c.Find(name); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestParse_errors(t *testing.T) {
	const head, mirror = "[[registry]]\nlocation = \"a.example\"\n", "[[registry.mirror]]\nlocation = 'm'\n"
	tests := map[string]struct{ text, want string }{
		"no TOML":           {"a = 1\nb = \n", "line 2: "},
		"no UTF-8":          {"# x\n# \xff\n", "line 2: it is not UTF-8"},
		"a table":           {"[registry]\nlocation = 'a'\n", "line 1: registry is not written [[registry]]"},
		"no location":       {"[[registry]]\nblocked = true\n", "line 1: a registry has no location"},
		"wrong type":        {head + "insecure = 'yes'\n", "line 3: insecure is not a bool"},
		"wrong type later":  {head + "[[registry]]\nlocation = 5\n", "line 4: location is not a string"},
		"scheme":            {"[[registry]]\nlocation = 'https://a'\n", `line 2: location "https://a" has a scheme`},
		"star":              {"[[registry]]\nprefix = 'a.*.example'\nlocation = 'x'\n", `line 2: prefix "a.*.example" is not *. and a domain`},
		"star and path":     {"[[registry]]\nprefix = '*.example/x'\n", `line 2: prefix "*.example/x" is not`},
		"mirror":            {head + "[[registry.mirror]]\ninsecure = true\n", "line 3: a mirror has no location"},
		"pull":              {head + "[[registry.mirror]]\nlocation = 'm'\npull-from-mirror = 'some'\n", `line 5: pull-from-mirror "some" is not all, digest-only or tag-only`},
		"pull of a primary": {head + "pull-from-mirror = 'all'\n", "line 3: pull-from-mirror is for a mirror"},
		"no mirror":         {head + "mirror = 'm'\n", "line 3: mirror is not written [[registry.mirror]]"},
		"second mirror":     {head + mirror + "[[registry]]\nlocation = 'b'\n" + mirror + mirror + "pull-from-mirror = ''\ninsecure = 1\n", "line 12: insecure is not a bool"},
		"in a string":       {"x = '''\n[[registry]]\nblocked = 1\n'''\n" + head + "blocked = 1\n", "line 7: blocked is not a bool"},
		"both":              {head + "mirror-by-digest-only = true\n[[registry.mirror]]\nlocation = 'm'\npull-from-mirror = 'all'\n", "line 6: pull-from-mirror contradicts"},
		"conflict":          {head + "[[registry]]\nprefix = 'b'\nlocation = 'a.example'\nblocked = true\n", `line 6: registry "a.example" is there twice`},
		"helpers":           {"credential-helpers = 'a'\n", "line 1: credential-helpers is not a list"},
		"helper's path":     {"\ncredential-helpers = ['a', '../b']\n", "line 2: credential-helpers has an entry that is no name of a helper"},
		"mixed":             {head + "[registries.block]\nregistries = ['x']\n", "line 3: it mixes version 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]byte(test.text), "f")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	p := Paths{User: filepath.Join(dir, "us[e]r"), System: filepath.Join(dir, "system")}
	blocked := func(p Paths) []string {
		t.Helper()
		c, err := Load(p)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, name := range []string{"a", "b", "c", "d"} {
			if rule, _ := c.Find(name + ".example/x"); rule.Blocked {
				out = append(out, name)
			}
		}
		return out
	}
	entry := func(name, more string) string {
		return "[[registry]]\nlocation = '" + name + ".example'\nblocked = " + more + "\n"
	}
	check := func(what string, p Paths, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, blocked(p)); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	check("nothing", p)
	write(t, filepath.Join(p.System, "registries.conf"), entry("a", "true")+entry("b", "true"))
	check("the system's file", p, "a", "b")
	write(t, filepath.Join(p.System, "registries.conf.d", "10.conf"), entry("a", "false"))
	write(t, filepath.Join(p.System, "registries.conf.d", "20.conf"), entry("c", "true"))
	write(t, filepath.Join(p.System, "registries.conf.d", "30.other"), entry("d", "true"))
	check("and its folder", p, "b", "c")
	write(t, filepath.Join(p.User, "registries.conf.d", "00.conf"), entry("c", "false"))
	check("and the user's folder", p, "b")
	write(t, filepath.Join(p.System, "registries.conf.d", "40.conf"), "credential-helpers = ['x', 'containers-auth.json', 'y']\n")
	write(t, filepath.Join(p.System, "registries.conf.d", "50.conf"), "unqualified-search-registries = ['a']\n")
	if c, err := Load(p); err != nil || strings.Join(c.Helpers(), " ") != "x y" {
		t.Errorf("got helpers %q, %v", c.Helpers(), err)
	}
	named := write(t, filepath.Join(dir, "named.conf"), entry("d", "true"))
	check("a named file", Paths{Named: named, User: p.User, System: p.System}, "d")
	write(t, filepath.Join(p.User, "registries.conf"), entry("a", "true"))
	check("the user's file", p, "a")

	write(t, named, "[[registry]]\nlocation = 5\n")
	_, err := Load(Paths{Named: named})
	if diag.CodeOf(err) != diag.BadRegistriesConf || !strings.Contains(err.Error(), named+": line 2: location is not a string") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(Paths{Named: named + ".none"}); diag.CodeOf(err) != diag.BadRegistriesConf {
		t.Errorf("got %v, want %s", err, diag.BadRegistriesConf)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation = 'b'\n", "a/x")
	f.Add("[registries.block]\nregistries = ['a']\n", "a/x")
	f.Add("registry = [{prefix = '*.a', mirror = [{location = 'm'}]}]", "b.a/x")
	f.Fuzz(func(t *testing.T, text, name string) {
		says, err := parse([]byte(text), "f")
		if err != nil {
			return
		}
		c := &Config{}
		c.merge(says)
		for _, ref := range []string{"latest", digest} {
			sources, ok := c.Sources(name, ref)
			if ok && len(sources) == 0 {
				t.Errorf("%q has an entry and no source", name)
			}
			for _, s := range sources {
				if strings.Contains(s.Name, "*") && !strings.Contains(name, "*") {
					t.Errorf("%q leads to %q", name, s.Name)
				}
			}
		}
	})
}

// TestDefaultPaths: containers/image looks below the home folder alone, whatever XDG_CONFIG_HOME says.
func TestDefaultPaths(t *testing.T) {
	env := map[string]string{"HOME": "/home/u", "XDG_CONFIG_HOME": "/elsewhere", Env: "/named"}
	want := Paths{Named: "/named", User: "/home/u/.config/containers", System: "/etc/containers"}
	if got := DefaultPaths(func(k string) string { return env[k] }); got != want {
		t.Errorf("got %+v", got)
	}
	if got := DefaultPaths(func(string) string { return "" }); got != (Paths{System: "/etc/containers"}) {
		t.Errorf("got %+v", got)
	}
}
