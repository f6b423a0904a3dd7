package dockerfile

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// builder builds with buildah, which asks a registry through a proxy that records it.
type builder struct {
	t     *testing.T
	proxy *testenv.Proxy
	dir   string // the build context: a file "f", and "sh", which is any program
}

// images is how many there are: i0 to i5; i4 has a trigger that copies from i5.
const images = 6

func newBuilder(t *testing.T) *builder {
	t.Helper()
	testenv.Require(t, "buildah")
	testenv.RequireRoot(t)
	registry := testenv.StartRegistry(t)
	b := &builder{t: t, proxy: testenv.StartProxy(t, registry), dir: t.TempDir()}
	for i := range images {
		testenv.PushTinyBase(t, registry, fmt.Sprintf("i%d", i), "1", basemaker.TinyOptions{
			Layers: 1, Docker: true, Seed: fmt.Sprint(i), Config: func(config map[string]any) {
				config["Env"] = []string{fmt.Sprintf("FILE=f%d", i)}
				if i == 4 {
					config["OnBuild"] = []string{"COPY --from=" + b.image(5) + " / /triggered/"}
				}
			},
		})
	}
	for i := range images {
		b.write(fmt.Sprintf("f%d", i), "a file")
	}
	b.write("sh.go", "package main\n\nfunc main() {}\n")
	cmd := exec.Command("go", "build", "-o", filepath.Join(b.dir, "sh"), filepath.Join(b.dir, "sh.go"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return b
}

func (b *builder) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *builder) image(i int) string { return b.proxy.Reference(fmt.Sprintf("i%d", i), "1") }

// contexts are named contexts that every build has.
func (b *builder) contexts() map[string]string {
	return map[string]string{"named": "docker-image://" + b.image(3), "unused": "docker-image://" + b.image(1)}
}

// asked builds and returns the repositories whose manifests were asked for, in order of names.
func (b *builder) asked(text, target string, args map[string]string) ([]string, string, error) {
	b.t.Helper()
	root, err := os.MkdirTemp("", "gb") // nothing is known of earlier builds
	if err != nil {
		b.t.Fatal(err)
	}
	defer os.RemoveAll(root)
	b.write("Dockerfile", text)
	list := []string{
		"--root", filepath.Join(root, "root"), "--runroot", filepath.Join(root, "run"), "--storage-driver", "vfs",
		"bud", "--isolation", "chroot", "--tls-verify=false", "--format", "docker", "-f", filepath.Join(b.dir, "Dockerfile"),
	}
	for name, value := range b.contexts() {
		list = append(list, "--build-context", name+"="+value)
	}
	for name, value := range args {
		list = append(list, "--build-arg", name+"="+value)
	}
	if target != "" {
		list = append(list, "--target", target)
	}
	b.proxy.Reset()
	out, err := exec.Command("buildah", append(list, b.dir)...).CombinedOutput()
	var names []string
	for _, r := range b.proxy.Requests() {
		if name, _, ok := strings.Cut(strings.TrimPrefix(r.Path, "/v2/"), "/manifests/"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), string(out), err
}

// reached is what Reach says, in the same form.
func (b *builder) reached(text, target string, args map[string]string) ([]string, error) {
	f, err := Parse("Dockerfile", []byte(text))
	if err != nil {
		return nil, err
	}
	r, err := f.Reach(Options{Target: target, Args: args, Platform: amd64, Contexts: b.contexts(), Config: func(i Image) (*Config, error) {
		n := strings.TrimSuffix(strings.TrimPrefix(i.Reference, b.proxy.Host()+"/i"), ":1")
		c := &Config{Env: []string{"FILE=f" + n}}
		if n == "4" {
			c.OnBuild = []string{"COPY --from=" + b.image(5) + " / /triggered/"}
		}
		return c, nil
	}})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range r.Images {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(i.Reference, b.proxy.Host()+"/"), ":1"))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// random makes a Dockerfile of a few stages that builds; buildah 1.28 knows no heredocs.
func (b *builder) random(r *rand.Rand) (text, target string, args map[string]string) {
	var s strings.Builder
	args = map[string]string{}
	fmt.Fprintf(&s, "ARG GLOBAL=%s\nARG N=%d\n", b.image(r.IntN(images)), r.IntN(images))
	if r.IntN(2) == 0 {
		args["N"] = fmt.Sprint(r.IntN(images))
	}
	stages := 2 + r.IntN(4)
	for i := range stages {
		base := []string{
			b.image(r.IntN(images)), "scratch", "$GLOBAL", strings.TrimSuffix(b.image(0), "0:1") + "${N}:1",
			strings.TrimSuffix(b.image(0), "0:1") + "${NONE:-2}:1", "named",
		}[r.IntN(6)]
		if i > 0 && r.IntN(3) == 0 {
			base = fmt.Sprintf("s%d", r.IntN(i))
		}
		fmt.Fprintf(&s, "FROM %s AS s%d\nCOPY sh /bin/sh\nARG N\nENV WHICH=f$N\n", base, i)
		for range r.IntN(3) {
			switch r.IntN(6) {
			case 3:
				s.WriteString("COPY --from=named / /from-named/\n")
			case 0:
				fmt.Fprintf(&s, "COPY --from=%s / /from-image/\n", b.image(r.IntN(images)))
			case 1:
				fmt.Fprintf(&s, "COPY $WHICH /file\n")
			case 2:
				fmt.Fprintf(&s, "RUN --mount=type=bind,from=%s,target=/mounted \\\n  # a comment\n  true\n", b.image(r.IntN(images)))
			default:
				if i == 0 {
					continue
				}
				from := r.IntN(i)
				fmt.Fprintf(&s, "COPY --from=%s /bin/sh /from-%d/\n", []string{fmt.Sprint(from), fmt.Sprintf("s%d", from)}[r.IntN(2)], from)
			}
		}
	}
	if r.IntN(2) == 0 {
		target = fmt.Sprintf("s%d", r.IntN(stages))
	}
	return s.String(), target, args
}

// TestReach_buildah compares with what real builds ask a registry for.
func TestReach_buildah(t *testing.T) {
	b := newBuilder(t)
	r := rand.New(rand.NewPCG(7, 1))
	for i := range 8 {
		text, target, args := b.random(r)
		want, out, err := b.asked(text, target, args)
		if err != nil {
			t.Errorf("%d: buildah: %v\n%s\n%s", i, err, text, out)
			continue
		}
		got, err := b.reached(text, target, args)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%d: target %q, args %v: got %v, %v; buildah asked for %v\n%s\n%s", i, target, args, got, err, want, text, out)
		}
	}
}
