package testenv

import (
	"bufio"
	"io"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// service is a process that runs beside a test.
type service struct {
	cmd  *exec.Cmd
	log  lockedBuffer
	done chan struct{}
	once sync.Once
}

// startService starts cmd and waits for the first line of its output that
// matches ready; it returns the submatches. The process is stopped by its own
// id when the test ends, and killed by the kernel when the test process dies.
func startService(t testing.TB, cmd *exec.Cmd, ready *regexp.Regexp) (*service, []string) {
	t.Helper()
	s := &service{cmd: cmd, done: make(chan struct{})}
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	dieWithParent(cmd)
	started := make(chan error, 1)
	go func() {
		// the parent in the sense of dieWithParent is this thread, so the
		// goroutine keeps it to itself until the child is gone
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			// how it ended is in the log
			_ = cmd.Wait()
		}
		in.Close()
		close(s.done)
	}()
	if err := <-started; err != nil {
		t.Fatalf("%s: %v", cmd.Path, err)
	}
	found := make(chan []string, 1)
	go s.read(out, ready, found)
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", cmd.Path, tail(s.log.String(), 60))
		}
	})
	match := <-found
	if match == nil {
		t.Fatalf("%s ended at once:\n%s", strings.Join(cmd.Args, " "), s.log.String())
	}
	return s, match
}

// read copies the output to the log until the process has closed it.
func (s *service) read(out io.Reader, ready *regexp.Regexp, found chan<- []string) {
	defer close(found)
	waiting := true
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadString('\n')
		_, _ = io.WriteString(&s.log, line) // a buffer takes everything
		if m := ready.FindStringSubmatch(line); waiting && m != nil {
			waiting = false
			found <- m
		}
		if err != nil {
			return
		}
	}
}

// stop ends the process and waits for its end.
func (s *service) stop() {
	s.once.Do(func() {
		// fails only when the process has ended already
		_ = s.cmd.Process.Kill()
		<-s.done
	})
}

// tail is the end of a log, without the registry's second word about each
// request.
func tail(s string, lines int) string {
	all := slices.DeleteFunc(strings.Split(s, "\n"), func(line string) bool {
		return strings.Contains(line, "http.request.id=")
	})
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
