package msbuild

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/settings"
)

// TestSettings_asProperties sets every setting that there is as a property, in a build that asks for its base in a project of its own.
func TestSettings_asProperties(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console", "repository", "src", "console")
	root := filepath.Dir(filepath.Dir(s.dir))
	variables := s.variables()
	values := map[settings.Kind]string{
		settings.Count: "7", settings.Duration: "31s", settings.Size: "3 GB", settings.Age: "9d", settings.Bool: "false", settings.Folder: "a;b %20",
	}
	properties, want := []string{"-p:BuildingSolutionFile=true"}, map[string]string{}
	for _, setting := range settings.Table {
		value := values[setting.Kind]
		if value == "" {
			t.Fatalf("%s is of a kind without a value here", setting.Name)
		}
		properties = append(properties, "-p:"+setting.Property()+"="+escapeMSBuild(value))
		if want[setting.Env()] = value; setting.Kind == settings.Folder {
			want[setting.Env()] = filepath.Join(s.dir, value)
		}
	}
	s.env = append(s.env, "GANTRY_CACHE_DIR=/nowhere", "GANTRY_LIMITS_UPLOADS=99") // the property counts
	s.push(properties...)
	calls := variables()
	for _, call := range calls {
		for name, value := range want {
			if call[name] != value {
				t.Errorf("%s: %s is %q, want %q", call["stage"], name, call[name], value)
			}
		}
	}
	if calls[0]["stage"] != "resolve-base" || calls[0]["GANTRY_SETTINGS_DIR"] != "" || len(calls) < 3 {
		t.Errorf("got %q", calls)
	}
	const wrong = "error GANTRY1014: GANTRY_LIMITS_UPLOADS: \"many\" is no number"
	if r := s.tryPush("-p:GantryLimitsUploads=many"); r.Code == 0 || !strings.Contains(r.Output, wrong) {
		t.Errorf("%d\n%s", r.Code, r.Output)
	}

	s.settingsOfFiles(root, variables)
}

// settingsOfFiles publishes with the repository's file, and with a named one, in builds that ask for the base with the stages and in such
// that do not.
func (s *site) settingsOfFiles(root string, variables func() []map[string]string) {
	t := s.t
	t.Helper()
	for file, text := range map[string]string{
		".git/HEAD":   "ref: refs/heads/main\n",
		"gantry.toml": "[cache]\ndir = 'store'\n",
		"ci.toml":     "[cache]\ndir = 'of ci'\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.env = append(s.env, "GANTRY_CACHE_DIR=")
	for _, c := range []struct {
		store string
		args  []string
	}{
		{"store", nil},
		{"of ci", []string{"-p:BuildingSolutionFile=true", "-p:GantryConfig=../../ci.toml"}},
	} {
		s.push(append(c.args, "-p:ContainerRepository="+strings.ReplaceAll(c.store, " ", "-"))...)
		if _, err := os.Stat(filepath.Join(root, c.store, "blobs")); err != nil {
			t.Error(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(root, "store")); err != nil {
		t.Fatal(err)
	}
	variables()
	s.push("-p:BuildingSolutionFile=true")
	if first := variables()[0]; first["stage"] != "resolve-base" || first["GANTRY_SETTINGS_DIR"] != root {
		t.Errorf("got %q", first)
	}
}

// variables makes the project use a script that notes the stage and the GANTRY_ variables of each call of the tool and passes it on; what
// it returns gives the calls since it was asked last.
func (s *site) variables() func() []map[string]string {
	s.t.Helper()
	dir := s.t.TempDir()
	log, script := filepath.Join(dir, "calls"), filepath.Join(dir, "gantry")
	text := fmt.Sprintf("#!/bin/sh\n{ echo \"stage=$1\"; env | grep ^GANTRY_; } >> '%s'\nexec '%s' \"$@\"\n", log, packagedTool(s.t))
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env, "GANTRY_PATH="+script)
	return func() (calls []map[string]string) {
		s.t.Helper()
		data, err := os.ReadFile(log)
		if err == nil {
			err = os.Remove(log)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if name == "stage" {
				calls = append(calls, map[string]string{})
			}
			calls[len(calls)-1][name] = value
		}
		return calls
	}
}
