package testenv

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// Podman runs images with storage of its own, which goes away with the test.
type Podman struct {
	t    testing.TB
	root string
}

// NewPodman needs podman, runc and root.
func NewPodman(t testing.TB) *Podman {
	t.Helper()
	Require(t, "podman", "runc")
	RequireRoot(t)
	// not t.TempDir: the sockets' paths must be shorter than 108 bytes
	root, err := os.MkdirTemp("", "gp")
	if err != nil {
		t.Fatal(err)
	}
	p := &Podman{t: t, root: root}
	t.Cleanup(p.remove)
	return p
}

func (p *Podman) remove() {
	for _, dir := range []string{"root/overlay", "run"} {
		// fails where podman left nothing mounted, which is what we want
		_ = exec.Command("umount", "-l", filepath.Join(p.root, dir)).Run()
	}
	if err := os.RemoveAll(p.root); err != nil {
		p.t.Log(err)
	}
}

// Command is podman with the storage options, for anything else a test does.
func (p *Podman) Command(args ...string) *exec.Cmd {
	all := append([]string{
		"--root", filepath.Join(p.root, "root"), "--runroot", filepath.Join(p.root, "run"),
		"--tmpdir", filepath.Join(p.root, "tmp"), "--storage-driver", "overlay",
		"--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
	}, args...)
	return exec.Command("podman", all...)
}

func (p *Podman) runCommand(image string, options, args []string) *exec.Cmd {
	all := []string{
		"run", "--rm", "--network", "host", "--tls-verify=false", "--pull", "always", "--quiet",
		"--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024",
	}
	all = append(append(append(all, options...), image), args...)
	return p.Command(all...)
}

// Run runs an image to its end, with options of podman run (or nil) and
// arguments for the image.
func (p *Podman) Run(image string, options []string, args ...string) Result {
	p.t.Helper()
	return run(p.t, p.runCommand(image, options, args))
}

// kestrelReady is what ASP.NET writes when it listens.
var kestrelReady = regexp.MustCompile(`Now listening on: http://[^ ]*:(\d+)`)

// Serve runs an ASP.NET image until the test ends, on a port that the kernel
// chooses, and returns "http://127.0.0.1:PORT" when it listens.
func (p *Podman) Serve(image string, options []string, args ...string) string {
	p.t.Helper()
	name := "gantry-" + filepath.Base(p.root)
	options = append([]string{"--name", name, "--env", "ASPNETCORE_HTTP_PORTS=0"}, options...)
	_, match := startService(p.t, p.runCommand(image, options, args), kestrelReady)
	p.t.Cleanup(func() {
		if r := run(p.t, p.Command("rm", "--force", "--time", "0", name)); r.Code != 0 {
			p.t.Log(r.Output)
		}
	})
	return "http://127.0.0.1:" + match[1]
}

// HTTPGet asks a server that listens already and returns the answer's body;
// anything but 200 fails the test.
func HTTPGet(t testing.TB, url string) string {
	t.Helper()
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %s", url, res.Status, err, body)
	}
	return string(body)
}
