package msbuild

import (
	"bytes"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestInterrupt_leavesTheDestination presses Ctrl-C while the push waits for the registry: with a blob, and with the manifest.
func TestInterrupt_leavesTheDestination(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/app/blobs/uploads/", "/app/manifests/"} {
		t.Run(strings.Split(path, "/")[2], func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "console")
			proxy := testenv.StartProxy(t, s.registry)
			s.host, s.base = proxy.Host(), proxy.Reference("base/tiny", "1")
			s.push("-p:ContainerImageTag=before")
			before := s.state()
			arrived, gone := make(chan struct{}, 16), make(chan struct{})
			proxy.Inject(func(r *http.Request) *testenv.Fault {
				if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, path) {
					return nil
				}
				arrived <- struct{}{}
				return &testenv.Fault{Wait: gone, Drop: true}
			})
			var out bytes.Buffer
			cmd := testenv.DotnetCommand(t, s.dir, s.env, append(noBuild(),
				s.container("-p:ContainerImageTag=before", "-p:ContainerDescription=other")...)...)
			cmd.Stdout, cmd.Stderr = &out, &out
			// a group of its own, as a shell gives to each command: Ctrl-C goes to all of it
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-arrived
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Errorf("it succeeded:\n%s", out.String())
			}
			close(gone)
			// a build that is cancelled runs no further target, so MSBuild's own word is all there may be
			if lines := errorLines(out.String()); len(lines) > 1 {
				t.Errorf("%d error lines:\n%s", len(lines), out.String())
			}
			if after := s.state(); after != before {
				t.Errorf("the destination was\n%sand is\n%s", before, after)
			}
			proxy.Inject(nil)
			s.push("-p:ContainerImageTag=before", "-p:ContainerDescription=other")
			if s.state() == before {
				t.Error("the next publish did not push")
			}
		})
	}
}
