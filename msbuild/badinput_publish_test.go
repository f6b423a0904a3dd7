package msbuild

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// state is everything that a failed publish must leave as it is.
func (s *site) state() string {
	s.t.Helper()
	var b strings.Builder
	for _, tag := range s.registry.Tags("app") {
		_, digest, _ := s.registry.Manifest("app", tag)
		fmt.Fprintln(&b, tag, digest)
	}
	return b.String()
}

// badInput is one thing that a person can get wrong.
type badInput struct {
	name  string
	setUp func(t *testing.T, s *site) // or nil
	more  []string
	code  string
	text  string // in the error line
	// repair makes the next publish good; nil when the run without more is.
	repair func(t *testing.T, s *site)
}

// try publishes badly, then well.
func (b badInput) try(t *testing.T, s *site) {
	t.Helper()
	defer func(outer *testing.T) { s.t = outer }(s.t)
	s.t = t
	before := s.state()
	if b.setUp != nil {
		b.setUp(t, s)
	}
	r := s.tryPush(append([]string{"-p:ContainerImageTag=bad"}, b.more...)...)
	wantError(t, r, b.code, b.text)
	if after := s.state(); after != before {
		t.Errorf("the destination was\n%sand is\n%s", before, after)
	}
	if b.repair != nil {
		b.repair(t, s)
	}
	s.push("-p:ContainerImageTag=good")
}

func TestBadInput_settings(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	gone := testenv.StartRegistry(t)
	gone.Stop()
	project := filepath.Join(s.dir, "console.csproj")
	label := `<ItemGroup><ContainerLabel Include="odd" Value="a%01b" /></ItemGroup></Project>`
	s.push()
	tests := []badInput{
		{name: "registry's name", more: []string{"-p:ContainerRegistry=https://a b"}, code: "CONTAINER2012"},
		{name: "no registry there", more: []string{"-p:ContainerRegistry=" + gone.Host()}, code: "CONTAINER1017", text: gone.Host()},
		{name: "no base registry there", more: []string{"-p:ContainerBaseImage=" + gone.Reference("base/tiny", "1")}, code: "CONTAINER1017", text: gone.Host()},
		{name: "no such base", more: []string{"-p:ContainerBaseImage=" + s.host + "/base/tniy:1"}, code: "CONTAINER1015", text: "base/tniy"},
		{name: "no image for the runtime identifier", more: []string{"-p:ContainerRuntimeIdentifier=linux-s390x"}, code: "CONTAINER1011", text: "s390x"},
		{name: "format", more: []string{"-p:ContainerImageFormat=Tar"}, code: "CONTAINER2031", text: "Tar"},
		{name: "layers", more: []string{"-p:GantryLayers=many"}, code: "GANTRY1005", text: "many"},
		{name: "epoch", more: []string{"-p:SOURCE_DATE_EPOCH=yesterday"}, code: "GANTRY3001", text: "yesterday"},
		{name: "tool", more: []string{"-p:GantryToolPath=/nowhere/gantry"}, code: "GANTRY9002", text: "/nowhere/gantry"},
		{
			name: "control character", code: "GANTRY1010", text: "ContainerLabel",
			setUp:  func(t *testing.T, _ *site) { testenv.Edit(t, project, "</Project>", label) },
			repair: func(t *testing.T, _ *site) { testenv.Edit(t, project, label, "</Project>") },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.try(t, s) })
	}
}

func TestBadInput_credentials(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	// the base stays in the open registry, the destination asks who one is
	private := testenv.StartRegistry(t, testenv.WithHtpasswd("robot", "right"))
	s.registry, s.host = private, private.Host()
	name, password := "DOTNET_CONTAINER_REGISTRY_UNAME=robot", "DOTNET_CONTAINER_REGISTRY_PWORD="
	env := slices.Clone(s.env)
	right := func(_ *testing.T, s *site) { s.env = append(slices.Clone(env), name, password+"right") }
	right(t, s)
	s.push()
	tests := []badInput{
		{name: "none", setUp: func(_ *testing.T, s *site) { s.env = env }, code: "CONTAINER1008", text: private.Host(), repair: right},
		{
			name: "wrong", setUp: func(_ *testing.T, s *site) { s.env = append(slices.Clone(env), name, password+"wr0ng") },
			code: "CONTAINER1016", text: private.Host(), repair: right,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.try(t, s) })
	}
	// a private base
	base := testenv.PushTinyBase(t, private, "base/private", "1", basemaker.TinyOptions{})
	s.env = env
	wantError(t, s.tryPush("-p:ContainerBaseImage="+base.Reference), "CONTAINER1008", "base/private")
	right(t, s)
	s.push("-p:ContainerBaseImage=" + base.Reference)
}

func TestBadInput_folder(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	s.push()
	folder := filepath.Join(s.dir, "extra")
	tests := []struct {
		name, code, text string
		make             func(dir string) error
	}{
		{"symbolic link out of it", "GANTRY4004", "link", func(dir string) error { return os.Symlink("/etc/hostname", filepath.Join(dir, "link")) }},
		{"symbolic link to nothing", "GANTRY4012", "link", func(dir string) error { return os.Symlink("nothing", filepath.Join(dir, "link")) }},
		{"letter case", "GANTRY4005", "readme", func(dir string) error {
			if err := os.WriteFile(filepath.Join(dir, "README"), nil, 0o644); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "readme"), nil, 0o644)
		}},
		{"not UTF-8", "GANTRY4006", "", func(dir string) error { return os.WriteFile(filepath.Join(dir, "caf\xe9"), nil, 0o644) }},
		{"pipe", "GANTRY4007", "pipe", func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644) }},
		{"whiteout", "GANTRY4008", ".wh.x", func(dir string) error { return os.WriteFile(filepath.Join(dir, ".wh.x"), nil, 0o644) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := badInput{
				code: tt.code, text: tt.text,
				setUp: func(t *testing.T, s *site) {
					folder = filepath.Join(s.publishDir(), "extra")
					if err := os.MkdirAll(folder, 0o755); err != nil {
						t.Fatal(err)
					}
					if err := tt.make(folder); err != nil {
						t.Fatal(err)
					}
				},
				repair: func(t *testing.T, _ *site) {
					if err := os.RemoveAll(folder); err != nil {
						t.Fatal(err)
					}
				},
			}
			b.try(t, s)
		})
	}
	// no file at all, and no folder; then a file without content
	before := s.state()
	empty := filepath.Join(s.dir, "empty")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir, code := range map[string]string{empty: "GANTRY4001", filepath.Join(s.dir, "missing"): "CONTAINER2011"} {
		r := s.dotnet(append([]string{"msbuild", "-nologo", "-p:PublishDir=" + dir + "/"}, s.container()...)...)
		wantError(t, r, code, filepath.Base(dir))
	}
	if after := s.state(); after != before {
		t.Errorf("the destination was\n%sand is\n%s", before, after)
	}
	if err := os.WriteFile(filepath.Join(s.publishDir(), "nothing.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.push("-p:ContainerImageTag=good")
	s.holds("app", "good", s.publishDir())
}

// TestBadInput_unreadable publishes as a user who may not read one of the files: to root nothing is unreadable.
func TestBadInput_unreadable(t *testing.T) {
	t.Parallel()
	testenv.RequireRoot(t)
	s := newSite(t, "console")
	s.asNobody()
	file := filepath.Join(s.publishDir(), "secret.txt")
	b := badInput{
		code: "GANTRY4002", text: "secret.txt",
		setUp: func(t *testing.T, _ *site) {
			if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		repair: func(t *testing.T, _ *site) {
			if err := os.Chmod(file, 0o644); err != nil {
				t.Fatal(err)
			}
		},
	}
	b.try(t, s)
	s.holds("app", "good", s.publishDir())
}

// TestBadInput_changesWhileRead has a file that somebody goes on writing.
func TestBadInput_changesWhileRead(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	stop, stopped := make(chan struct{}), make(chan error, 1)
	b := badInput{
		code: "GANTRY4003", text: "growing.log",
		setUp: func(t *testing.T, s *site) {
			f, err := os.Create(filepath.Join(s.publishDir(), "growing.log"))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					select {
					case <-stop:
						stopped <- f.Close()
						return
					default:
					}
					// the end of the test says how it went
					_, _ = f.WriteString("a line more\n")
					if info, err := f.Stat(); err == nil && info.Size() > 64<<20 {
						_ = f.Truncate(0)
					}
				}
			}()
		},
		repair: func(t *testing.T, _ *site) {
			close(stop)
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		},
	}
	b.try(t, s)
}
