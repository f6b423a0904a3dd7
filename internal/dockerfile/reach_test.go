package dockerfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/gantry-build/gantry/internal/diag"
)

// TestReach reads testdata/reach: the rule in words, options, a Dockerfile, and what it reaches, written down from BuildKit's documentation and
// its frontend.
func TestReach(t *testing.T) {
	files, err := filepath.Glob("testdata/reach/*.txtar")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runCase(t, file) })
	}
}

func runCase(t *testing.T, file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	a := txtar.Parse(data)
	for _, f := range a.Files {
		parts[f.Name] = string(f.Data)
	}
	got, err := ask(strings.TrimSuffix(parts["Dockerfile"], "\n"), parseOptions(t, parts["options"]))
	want := strings.TrimSpace(parts["want"])
	if text, ok := strings.CutPrefix(want, "error "); ok {
		if err == nil || !strings.Contains(err.Error(), text) || diag.CodeOf(err) != diag.InvalidDockerfile {
			t.Errorf("%sgot %q, %v; want an error with %q", a.Comment, got, err, text)
		}
		return
	}
	if err != nil {
		t.Fatalf("%s%v", a.Comment, err)
	}
	compare(t, string(a.Comment), got, want)
}

// compare compares line by line; of an unknown, the text has what is wanted.
func compare(t *testing.T, why, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		place, text, _ := strings.Cut(w[i], ": ")
		if strings.HasPrefix(w[i], "unknown ") && strings.HasPrefix(g[i], place+": ") && strings.Contains(g[i], text) {
			g[i] = w[i]
		}
	}
	if d := cmp.Diff(w, g); d != "" {
		t.Errorf("%s%s", why, d)
	}
}

func ask(text string, opt Options) (string, error) {
	f, err := Parse("Dockerfile", []byte(text))
	if err != nil {
		return "", err
	}
	r, err := f.Reach(opt)
	if err != nil {
		return "", err
	}
	return show(r), nil
}

// parseOptions reads lines such as "arg A=1". Images have an empty configuration where no line says something else.
func parseOptions(t *testing.T, text string) Options {
	t.Helper()
	opt := Options{Platform: Platform{OS: "linux", Architecture: "amd64"}, Args: map[string]string{}, Contexts: map[string]string{}}
	configs := map[string]*Config{}
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, value, _ := strings.Cut(rest, "=")
		var err error
		switch word {
		case "target":
			opt.Target = rest
		case "arg":
			opt.Args[name] = value
		case "context":
			opt.Contexts[name] = value
		case "platform":
			opt.Platform, err = ParsePlatform(rest, Platform{})
		case "builder":
			opt.Builder, err = ParsePlatform(rest, Platform{})
		case "config":
			readConfig(configs, rest)
		case "noconfig":
			configs[rest] = nil
		default:
			t.Fatalf("option %q", line)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	opt.Config = func(i Image) (*Config, error) {
		name := strings.TrimSuffix(strings.TrimPrefix(i.Reference, "docker.io/library/"), ":latest")
		if c, ok := configs[name]; ok {
			return c, nil
		}
		return &Config{}, nil
	}
	return opt
}

func readConfig(configs map[string]*Config, line string) {
	name, rest, _ := strings.Cut(line, " ")
	c := configs[name]
	if c == nil {
		c = &Config{}
		configs[name] = c
	}
	switch kind, value, _ := strings.Cut(rest, " "); kind {
	case "env":
		c.Env = append(c.Env, value)
	case "onbuild":
		c.OnBuild = append(c.OnBuild, strings.ReplaceAll(value, `\n`, "\n"))
	}
}

func show(r *Reach) string {
	var b strings.Builder
	for _, i := range r.Images {
		if i.Target != "" {
			fmt.Fprintf(&b, "target %s", i.Target)
		} else {
			fmt.Fprintf(&b, "image %s", i.Reference)
		}
		fmt.Fprintf(&b, " %s: %s\n", i.Platform, showUses(i.Uses))
	}
	for _, s := range r.Sources {
		pin := s.Pin
		if pin == "" {
			pin = "-"
		}
		fmt.Fprintf(&b, "source %s %s: %s\n", s.URL, pin, showUses(s.Uses))
	}
	for _, p := range r.Files {
		b.WriteString("file ")
		if p.Context != "" {
			b.WriteString(p.Context + ": ")
		}
		b.WriteString(p.Path)
		if p.Literal {
			b.WriteString(" literal")
		}
		if p.Parents {
			b.WriteString(" parents")
		}
		for _, e := range p.Exclude {
			b.WriteString(" exclude " + e)
		}
		fmt.Fprintf(&b, ": %s\n", showUses([]Use{p.Use}))
	}
	b.WriteString("stages:")
	for _, s := range r.Stages {
		b.WriteString(" " + s.Name)
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(&b, "\nunknown %d: %s", u.Line, u.Text)
	}
	return b.String()
}

func showUses(uses []Use) string {
	var list []string
	for _, u := range uses {
		s := fmt.Sprintf("%s %s:%d", u.Kind, u.Stage, u.Line)
		if u.OnBuild {
			s += " onbuild"
		}
		list = append(list, s)
	}
	return strings.Join(list, "; ")
}
