package dockerfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/diag"
)

var amd64 = Platform{OS: "linux", Architecture: "amd64"}

func empty(Image) (*Config, error) { return &Config{}, nil }

// TestRead_bad: every fault names the file, and the line where there is one.
func TestRead_bad(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ name, text, want string }{
		{"typo", "FROM a\n\nCOPPY x /\n", "typo:3: unknown instruction: COPPY"},
		{"flag", "FROM a\nRUN --nope x", "flag:2: unknown flag"},
		{"escape", "# escape=x\nFROM a", "escape"},
		{"heredoc", "FROM a\nRUN <<E\nx\n", "heredoc:2: unterminated heredoc"},
		{"from", "FROM a b\n", "from:1: FROM requires"},
		{"json", `FROM a` + "\n" + `SHELL ["a"` + "\n", "json:2"},
		{"line", "FROM a\nRUN " + strings.Repeat("x", 100_000) + "\n", "greater than max allowed size"},
		{"binary", "\x00\x01\xff\n", "binary:1"},
		{"empty", "", "it is empty"},
		{"comments", "# a\n\n", "file with no instructions"},
	} {
		path := filepath.Join(dir, test.name)
		if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		if err == nil || diag.CodeOf(err) != diag.InvalidDockerfile || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "dockerfile"), []byte("FROM a"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(filepath.Join(dir, "Dockerfile")); err != nil {
		t.Errorf("dockerfile is not found: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "none")); diag.CodeOf(err) != diag.InvalidDockerfile {
		t.Errorf("no file: %v", err)
	}
}

// TestRead_huge: 100 MB are refused before they are read, as BuildKit refuses them.
func TestRead_huge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Dockerfile")
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(100 << 20)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	allocated := testing.AllocsPerRun(1, func() { _, err = Read(path) })
	if diag.CodeOf(err) != diag.InvalidDockerfile || !strings.Contains(err.Error(), "104857600 bytes") || allocated > 100 {
		t.Errorf("got %v with %v allocations", err, allocated)
	}
	if _, err := Parse("big", make([]byte, MaxBytes+1)); diag.CodeOf(err) != diag.InvalidDockerfile {
		t.Errorf("got %v", err)
	}
}

// TestReach_tenThousandStages, each upon the last and copying from the first.
func TestReach_tenThousandStages(t *testing.T) {
	const n = 10_000
	var b strings.Builder
	b.WriteString("FROM base AS s0\nENV E0=0\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "FROM s%d AS s%d\nENV E%d=$E%d\nARG A=$E1\nCOPY --from=s0 a$E%d /\n", i-1, i, i%50, (i-1)%50, i%50)
	}
	b.WriteString("COPY last$E1 /\n")
	f, err := Parse("Dockerfile", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Reach(Options{Platform: amd64, Config: empty})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Stages) != n || len(r.Images) != 1 || len(r.Files) != 1 || r.Files[0].Path != "last0" {
		t.Errorf("%d stages, %d images, files %+v", len(r.Stages), len(r.Images), r.Files)
	}
	r, err = f.Reach(Options{Platform: amd64, Config: empty, Target: "s1"})
	if err != nil || len(r.Stages) != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestReach_parallel is for the race detector.
func TestReach_parallel(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("ARG B\nFROM base$B AS a\nARG A\nENV B=$A\nCOPY $A /\nFROM x\nRUN --mount=source=$A,from=a,target=/x y\nCOPY --from=a $B /\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	for i := range 8 {
		go func() {
			r, err := f.Reach(Options{Platform: amd64, Config: empty, Args: map[string]string{"A": fmt.Sprint(i), "B": fmt.Sprint(i)}})
			if err != nil || len(r.Images) != 2 || len(r.Files) != 1 || r.Files[0].Path != fmt.Sprint(i) {
				got <- fmt.Sprintf("%+v %v", r, err)
			}
			got <- ""
		}()
	}
	for range 8 {
		if s := <-got; s != "" {
			t.Error(s)
		}
	}
}

// TestReach_again: what the command of one question expands does not stay for the next.
func TestReach_again(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("FROM base\nARG A\nENV B=$A\nCOPY $A /\nADD $B /\nRUN --mount=source=$A,target=/x y\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"one", "two", "one"} {
		r, err := f.Reach(Options{Platform: amd64, Config: empty, Args: map[string]string{"A": a}})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range r.Files {
			if p.Path != a {
				t.Errorf("A=%s: %s in line %d", a, p.Path, p.Use.Line)
			}
		}
		if len(r.Files) != 3 {
			t.Errorf("%d files", len(r.Files))
		}
	}
}

func TestReach_config(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("FROM base AS a\nENV X=1\nONBUILD COPY a /\nFROM a AS b\nENV X=2 Y=$Z\nONBUILD RUN b\nONBUILD COPY c /\n"))
	if err != nil {
		t.Fatal(err)
	}
	config := func(Image) (*Config, error) {
		return &Config{Env: []string{"Z=z", "PATH=/bin"}, OnBuild: []string{"RUN never"}}, nil
	}
	r, err := f.Reach(Options{Platform: amd64, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.Config.Env, r.Config.OnBuild, r.ConfigKnown); got != "[PATH=/bin X=2 Y=z Z=z] [RUN b COPY c /] true" {
		t.Errorf("got %s", got)
	}
	boom := fmt.Errorf("registry down")
	if _, err := f.Reach(Options{Platform: amd64, Config: func(Image) (*Config, error) { return nil, boom }}); err == nil {
		t.Error("a failing registry gave an answer")
	}
	if r, err = f.Reach(Options{Platform: amd64}); err != nil || r.ConfigKnown || len(r.Unknown) == 0 {
		t.Errorf("without configuration: %+v, %v", r, err)
	}
}

// TestReach_content: texts that make one image have one content, others another.
func TestReach_content(t *testing.T) {
	content := func(text string) string {
		t.Helper()
		f, err := Parse("Dockerfile", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Reach(Options{Platform: amd64, Config: empty})
		if err != nil {
			t.Fatal(err)
		}
		var all []Item
		for _, item := range r.Content {
			all = append(all, *item)
		}
		return fmt.Sprint(all)
	}
	const two = "FROM x AS a\nRUN 1\nFROM x AS b\nRUN 2\nFROM y\nCOPY --from=a /f /1\nCOPY --from=b /f /2\n"
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"FROM x\nRUN --mount=target=/m y", "FROM x\nRUN --mount=from=scratch,target=/m y", false},
		{"FROM x\nRUN --mount=from=p,target=/m y", "FROM x\nRUN --mount=from=q,target=/m y", false},
		{"FROM x\nRUN --mount=from=p,target=/m y", "FROM x\nRUN --mount=from=docker.io/library/p:latest,target=/m y", true},
		{"FROM x\nCOPY <<E /f\n1\nE\n", "FROM x\nCOPY <<E /f\n2\nE\n", false},
		{"FROM x\nRUN <<E\n1\nE\n", "FROM x\nRUN <<-E\n1\nE\n", false},
		{"FROM x\nCOPY <<E /f\n1\nE\n", "FROM x\nCOPY <<'E' /f\n1\nE\n", false},
		{two, strings.NewReplacer("from=a", "from=b", "from=b", "from=a").Replace(two), false},
		{two, strings.NewReplacer("from=a", "from=0", "AS b", "AS c", "from=b", "from=c").Replace(two), true},
		{"FROM x\nCMD a", "FROM x\nCMD [\"a\"]", false},
		{"FROM x\nCMD [\"a b\"]", "FROM x\nCMD [\"a\", \"b\"]", false},
		{"FROM x\nCOPY a b /", "FROM x\nCOPY [\"a\", \"b\", \"/\"]", false}, // it may be, and is not worth a rule
		{"FROM x\nONBUILD RUN 1", "FROM x\nONBUILD RUN 2", false},
		{"FROM x\nRUN a \\\n  b", "FROM x\nRUN a \\\n# why\n  b", true},
		{"FROM x\nCOPY  a   b", "from x\ncopy a b", true},
		{"FROM x\nARG A", "FROM x\nARG A=", false},
		{"FROM x\nARG A=1 B=2", "FROM x\nARG A=1\nARG B=2", true},
		{"ARG V=x\nFROM $V", "FROM docker.io/library/x", true},
		{"FROM --platform=$TARGETPLATFORM x", "FROM x", true},
		{"FROM --platform=linux/arm64 x", "FROM x", false},
		{"FROM --platform=linux/arm64 scratch", "FROM scratch", true},
		{"FROM x AS a\nRUN 1\nFROM y AS b", "FROM z\nFROM y", true},
	} {
		if a, b := content(test.a), content(test.b); (a == b) != test.same {
			t.Errorf("%s\n\n%s\nsame: %v\n%s\n%s", test.a, test.b, a == b, a, b)
		}
	}
}

func TestParsePlatform(t *testing.T) {
	local := Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	for in, want := range map[string]string{
		"linux/amd64": "linux/amd64", "linux/x86_64": "linux/amd64", "linux/arm": "linux/arm/v7", "linux/arm/v6": "linux/arm/v6",
		"linux/arm64/v8": "linux/arm64", "aarch64": "linux/arm64", "linux": "linux/arm/v7", "Windows(10.0.17763)/amd64": "windows(10.0.17763)/amd64",
		"armhf": "linux/arm/v7", "linux/armel": "linux/arm/v6", "linux/amd64/v2": "linux/amd64/v2", "i386": "linux/386", "macos/arm64": "darwin/arm64",
		"": "", "a b": "", "x": "", "linux//amd64": "", "a/b/c/d": "",
	} {
		got, err := ParsePlatform(in, local)
		if want == "" && err == nil || want != "" && (err != nil || got.String() != want) {
			t.Errorf("%q: got %v, %v, want %q", in, got, err, want)
		}
	}
}

// FuzzReach looks for panics and for errors without a code.
func FuzzReach(f *testing.F) {
	files, err := filepath.Glob("testdata/reach/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		_, text, _ := strings.Cut(string(data), "-- Dockerfile --\n")
		text, _, _ = strings.Cut(text, "-- want --")
		f.Add(text, "COPY --from=0 $A /", "A=1")
	}
	f.Fuzz(func(t *testing.T, text, trigger, env string) {
		d, err := Parse("Dockerfile", []byte(text))
		if err == nil {
			name, value, _ := strings.Cut(env, "=")
			_, err = d.Reach(Options{
				Platform: amd64, Args: map[string]string{name: value}, Contexts: map[string]string{name: value},
				Config: func(Image) (*Config, error) { return &Config{OnBuild: []string{trigger}, Env: []string{env}}, nil },
			})
		}
		if err != nil && diag.CodeOf(err) != diag.InvalidDockerfile {
			t.Fatalf("an error without a code: %v", err)
		}
	})
}

func BenchmarkReach(b *testing.B) {
	text := "# syntax=docker/dockerfile:1\nARG BASE=a\nARG V\nFROM $BASE:$V AS build\nARG X=1\nENV A=1 B=2\nCOPY a b /\nRUN make\nRUN test\n" +
		"FROM other\nARG V\nLABEL v=$V\nRUN --mount=type=cache,target=/c x\nCOPY --from=build /out /\nCOPY run.sh /\nUSER 1\nENTRYPOINT [\"/run.sh\"]\n"
	f, err := Parse("Dockerfile", []byte(text))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Reach(Options{Platform: amd64, Config: empty, Args: map[string]string{"V": "1"}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte("ARG BASE=a\nARG V\nFROM $BASE:$V AS build\nARG X=1\nENV A=1 B=2\nCOPY a b /\nRUN make\nRUN test\n" +
		"FROM other\nARG V\nLABEL v=$V\nRUN --mount=type=cache,target=/c x\nCOPY --from=build /out /\nCOPY run.sh /\nUSER 1\nENTRYPOINT [\"/run.sh\"]\n")
	for b.Loop() {
		if _, err := Parse("Dockerfile", text); err != nil {
			b.Fatal(err)
		}
	}
}
