package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// Docker is a daemon of a test's own, which builds with BuildKit. It has no
// network for containers.
type Docker struct {
	t    testing.TB
	root string
}

// DockerStore is what Docker keeps images in.
type DockerStore string

// The store of containerd, which new installations of Docker 29 have, and that of the older ones.
const (
	ContainerdStore  DockerStore = `{"features": {"containerd-snapshotter": true}, "storage-driver": "native"}`
	GraphDriverStore DockerStore = `{"features": {"containerd-snapshotter": false}, "storage-driver": "vfs"}`
)

var dockerReady = regexp.MustCompile(`msg="API listen on `)

// StartDocker starts one until the test ends. It needs Docker 25 or later, as
// Debian 13 has it with docker-buildx, and root.
func StartDocker(t testing.TB, store DockerStore) *Docker {
	t.Helper()
	Require(t, "docker", "docker-buildx", "dockerd", "containerd", "runc")
	RequireRoot(t)
	// not t.TempDir: the sockets' paths must be shorter than 108 bytes
	root, err := os.MkdirTemp("", "gd")
	if err != nil {
		t.Fatal(err)
	}
	d := &Docker{t: t, root: root}
	t.Cleanup(d.remove)
	config := filepath.Join(root, "daemon.json")
	if err := os.WriteFile(config, []byte(store), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := Look("dockerd")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--config-file", config, "--host", d.Host(), "--data-root", filepath.Join(root, "data"),
		"--exec-root", filepath.Join(root, "run"), "--pidfile", filepath.Join(root, "pid"),
		"--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + root}
	s, _ := startService(t, cmd, dockerReady)
	t.Cleanup(func() { // the daemon ends its containerd only when it is asked to end
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(time.Minute):
			t.Error("the Docker daemon does not end")
		}
	})
	return d
}

func (d *Docker) remove() {
	// fails where the daemon left nothing mounted, which is what we want
	_ = exec.Command("umount", "-l", filepath.Join(d.root, "run", "netns", "default")).Run()
	if err := os.RemoveAll(d.root); err != nil {
		d.t.Log(err)
	}
}

// Host is for DOCKER_HOST.
func (d *Docker) Host() string { return "unix://" + filepath.Join(d.root, "sock") }

// Command is docker with this daemon.
func (d *Docker) Command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(d.t.Context(), "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+d.Host())
	return cmd
}
