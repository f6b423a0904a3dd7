package place

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// copiesVar names the copies that the test binary makes instead of running tests: lines of source and destination.
const copiesVar = "GANTRY_TEST_COPIES"

func TestMain(m *testing.M) {
	if os.Getenv(copiesVar) == "" {
		os.Exit(m.Run())
	}
	for _, l := range strings.Split(os.Getenv(copiesVar), "\n") {
		from, to, _ := strings.Cut(l, " ")
		fmt.Println(copyAlone(from, to))
	}
}

// copyAlone copies and says the digest or the error's code.
func copyAlone(from, to string) string {
	src, err := Parse(from)
	if err != nil {
		return err.Error()
	}
	dst, err := Parse(to)
	if err != nil {
		return err.Error()
	}
	r, err := Copy(context.Background(), Deps{
		Registry: registry.New(registry.Options{}), Records: records.Of(cas.Open(filepath.Join(os.TempDir(), "none"))),
		Log: slog.New(slog.DiscardHandler), Progress: progress.Discard{}, Getenv: os.Getenv,
	}, src, dst, Options{})
	if err != nil {
		return string(diag.CodeOf(err)) + " " + err.Error()
	}
	return string(r.Digest)
}

// process is this test binary as a program that copies; within, where given, are the words before it.
func process(t *testing.T, copies []string, within ...string) *exec.Cmd {
	t.Helper()
	args := append(within, os.Args[0])
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), copiesVar+"="+strings.Join(copies, "\n"), "TMPDIR="+t.TempDir())
	return cmd
}

// holding is a proxy that holds the answer to the n-th question about a blob and says so.
func holding(t *testing.T, reg *testenv.Registry, n int) (*testenv.Proxy, <-chan struct{}) {
	t.Helper()
	proxy := testenv.StartProxy(t, reg)
	var mu sync.Mutex
	blobs, reached, never := 0, make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(never) })
	proxy.Inject(func(r *http.Request) *testenv.Fault {
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return nil
		}
		if blobs++; blobs == n {
			close(reached)
			return &testenv.Fault{Wait: never}
		}
		return nil
	})
	return proxy, reached
}

// TestKilled: a process that is killed in the middle of a copy leaves the destination as it was; the next one is not disturbed by what
// it left, and removes it when it is old.
func TestKilled(t *testing.T) {
	reg := testenv.StartOlareg(t)
	old := testenv.PushTinyBase(t, reg, "shop", "1", basemaker.TinyOptions{Layers: 1, Seed: "old"})
	fresh := testenv.PushTinyBase(t, reg, "shop", "2", basemaker.TinyOptions{Layers: 4})
	p := testenv.NewPodman(t)
	onPath(t, p, "podman")
	c := newCopier(t)
	at := func(name string) string { return filepath.Join(c.dir, name) }
	files := func() string {
		out := ""
		for _, glob := range []string{"*.tar", "layout/index.json", "layout/oci-layout"} {
			names, _ := filepath.Glob(at(glob))
			for _, name := range names {
				body, err := os.ReadFile(name)
				out += fmt.Sprintln(name, cas.DigestOf(body), err)
			}
		}
		return out
	}
	left := func() (names []string) {
		for _, glob := range []string{".*", "layout/.*.*", "layout/blobs/sha256/.*"} {
			found, _ := filepath.Glob(at(glob))
			for _, f := range found {
				if fi, err := os.Stat(f); err == nil && fi.Mode().IsRegular() && filepath.Base(f) != ".gantry.lock" {
					names = append(names, f)
				}
			}
		}
		return names
	}
	for _, to := range []string{"oci-archive:" + at("oci.tar") + ":shop:1", "docker-archive:" + at("docker.tar") + ":shop:1", "oci:" + at("layout") + ":shop:1", "podman:shop:1"} {
		c.copy(old.Reference, to, Options{})
		before := files()
		proxy, reached := holding(t, reg, 4) // there are four layers
		cmd := process(t, []string{proxy.Host() + "/shop:2 " + to})
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-reached
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if after := files(); after != before {
			t.Errorf("%s: before\n%safter\n%s", to, before, after)
		}
		if strings.HasPrefix(to, "podman") {
			if got := podman(t, p, "image", "inspect", "--format", "{{.Digest}}", "shop:1"); got != old.Digest {
				t.Errorf("podman has %s, want %s", got, old.Digest)
			}
		} else if r := c.copy(to, "oci:"+at("check")+":x", Options{}); string(r.Digest) != old.Digest && !strings.HasPrefix(to, "docker") {
			t.Errorf("%s holds %s, want %s", to, r.Digest, old.Digest)
		}
		long := time.Now().Add(-48 * time.Hour)
		for _, f := range left() {
			if err := os.Chtimes(f, long, long); err != nil {
				t.Fatal(err)
			}
		}
		if len(left()) == 0 && !strings.HasPrefix(to, "podman") {
			t.Errorf("%s: the process was killed before it wrote", to)
		}
		if r := c.copy(fresh.Reference, to, Options{}); !r.Saved.Written || string(r.Digest) != fresh.Digest {
			t.Errorf("%s: %s", to, line(r))
		}
		if l := left(); len(l) > 0 {
			t.Errorf("%s: left: %v", to, l)
		}
	}
}

// TestFullDisk: what was there stays whole, and nothing is left that takes the room.
func TestFullDisk(t *testing.T) {
	testenv.Require(t, "unshare", "mount", "find", "sha256sum")
	testenv.RequireRoot(t)
	reg := testenv.StartOlareg(t)
	small := testenv.PushTinyBase(t, reg, "shop", "1", basemaker.TinyOptions{Layers: 1})
	large := testenv.PushTinyBase(t, reg, "shop", "2", basemaker.TinyOptions{Layers: 1, Document: func(d map[string]any) { d["comment"] = strings.Repeat("x", 1<<20) }})
	dir := t.TempDir()
	for _, to := range []string{"oci-archive:" + dir + "/a.tar:shop:1", "docker-archive:" + dir + "/a.tar:shop:1", "oci:" + dir + "/layout:shop:1"} {
		run := func(copies ...string) []string {
			t.Helper()
			script := `mount -t tmpfs -o size=256k none "$0" && "$1"; cd "$0" && find . -type f ! -name .gantry.lock -exec sha256sum {} + | sort`
			out, err := process(t, copies, "unshare", "--mount", "sh", "-c", script, dir).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return strings.Split(strings.TrimSpace(string(out)), "\n")
		}
		alone := run(small.Reference + " " + to)
		full := run(small.Reference+" "+to, large.Reference+" "+to, small.Reference+" "+to)
		if alone[0] != small.Digest || full[0] != small.Digest || full[2] != small.Digest {
			t.Errorf("%s: %v\n%v", to, alone, full)
		}
		if !strings.HasPrefix(full[1], string(diag.ArchiveUnwritable)) || !strings.Contains(full[1], "no space left") {
			t.Errorf("%s: %s", to, full[1])
		}
		// of a layout the blobs that arrived may stay: no name needs them
		names := func(files []string) string { return strings.Join(files, "\n") }
		if !strings.HasPrefix(to, "oci:") && names(alone[1:]) != names(full[3:]) {
			t.Errorf("%s: %v\n%v", to, alone, full)
		}
		for _, f := range alone[1:] {
			if !strings.Contains(names(full[3:]), f) {
				t.Errorf("%s: %s is not as it was: %v", to, f, full)
			}
		}
		if strings.Contains(names(full[3:]), "/.") {
			t.Errorf("%s: left: %v", to, full)
		}
	}
}

// TestFullDisk_temporary: what an engine gives is kept in a temporary file, and the folder that has no room for it is named as the reason.
func TestFullDisk_temporary(t *testing.T) {
	testenv.Require(t, "unshare", "mount", "head")
	testenv.RequireRoot(t)
	dir := t.TempDir()
	program := "#!/bin/sh\nif [ $1 = image ]; then echo '[{\"Id\": \"x\"}]'; else head -c 1000000 /dev/zero; fi\n"
	if err := os.WriteFile(dir+"/podman", []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	small := t.TempDir()
	script := `mount -t tmpfs -o size=256k none "$0" && TMPDIR="$0" "$1"; ls -A "$0"`
	out, err := process(t, []string{"podman:shop:1 oci:" + dir + "/layout"}, "unshare", "--mount", "sh", "-c", script, small).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), string(diag.ArchiveUnwritable)) || !strings.Contains(string(out), "no space left") ||
		!strings.Contains(string(out), "check TMPDIR") || strings.Contains(string(out), "\ngantry-") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestManyWriters: processes that write one layout at once lose no name; those that write one archive leave one of the images, whole.
func TestManyWriters(t *testing.T) {
	reg := testenv.StartOlareg(t)
	dir := t.TempDir()
	var all sync.WaitGroup
	var bases []testenv.Base
	for i := range 4 {
		base := testenv.PushTinyBase(t, reg, "shop", fmt.Sprint(i), basemaker.TinyOptions{Layers: 2, Seed: fmt.Sprint(i)})
		bases = append(bases, base)
		all.Go(func() {
			var copies []string
			for range 3 {
				copies = append(copies, fmt.Sprintf("%s oci:%s/layout:%d", base.Reference, dir, i), base.Reference+" oci-archive:"+dir+"/a.tar:shop:1")
			}
			out, err := process(t, copies).CombinedOutput()
			if err != nil || strings.Count(string(out), base.Digest+"\n") != len(copies) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	all.Wait()
	c := newCopier(t)
	for i, base := range bases {
		if r := c.copy(fmt.Sprintf("oci:%s/layout:%d", dir, i), "oci-archive:"+c.dir+"/x.tar", Options{}); string(r.Digest) != base.Digest {
			t.Errorf("%d: %s, want %s", i, r.Digest, base.Digest)
		}
	}
	c.copy("oci-archive:"+dir+"/a.tar", "oci-archive:"+c.dir+"/x.tar", Options{})
}

// TestCopy_notAFile: a device or pipe is neither replaced nor waited for; a link stays one; the user's umask counts.
func TestCopy_notAFile(t *testing.T) {
	reg := testenv.StartOlareg(t)
	base := testenv.PushTinyBase(t, reg, "shop", "1", basemaker.TinyOptions{Layers: 1})
	c := newCopier(t)
	pipe := filepath.Join(c.dir, "pipe.tar")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.try(base.Reference, "oci-archive:"+pipe, Options{}); diag.CodeOf(err) != diag.ArchiveUnwritable {
		t.Errorf("%v", err)
	}
	if _, err := c.try("oci-archive:"+pipe, reg.Host()+"/x:1", Options{}); diag.CodeOf(err) != diag.InvalidArchive {
		t.Errorf("%v", err)
	}
	if fi, err := os.Lstat(pipe); err != nil || fi.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is gone: %v", err)
	}
	link := filepath.Join(c.dir, "link.tar")
	if err := os.WriteFile(filepath.Join(c.dir, "real.tar"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real.tar", link); err != nil {
		t.Fatal(err)
	}
	out, err := process(t, []string{base.Reference + " oci-archive:" + link, base.Reference + " oci:" + c.dir + "/layout"}, "sh", "-c", `umask 077; exec "$0"`).CombinedOutput()
	if err != nil || bytes.Count(out, []byte(base.Digest)) != 2 {
		t.Fatalf("%v\n%s", err, out)
	}
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	for _, file := range []string{"real.tar", "layout/index.json", "layout/blobs/sha256/" + strings.TrimPrefix(base.Digest, "sha256:")} {
		if fi, err := os.Stat(filepath.Join(c.dir, file)); err != nil || fi.Mode().Perm() != 0o600 || fi.Size() == 0 {
			t.Errorf("%s: %v, %v", file, fi, err)
		}
	}
}
