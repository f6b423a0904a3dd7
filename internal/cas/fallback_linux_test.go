package cas

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// asNobody is set in the child of TestFallback_foreign.
const asNobody = "GANTRY_TEST_STORE_OF_ANOTHER"

// A store that belongs to another user is as none.
func TestFallback_foreign(t *testing.T) {
	if dir := os.Getenv(asNobody); dir != "" {
		s, told := withFallback(filepath.Join(dir, "store"), filepath.Join(dir, "tmp", "gantry"), "1")
		defer s.Use()()
		if _, err := s.Size(helloDigest); !errors.Is(err, ErrNotFound) {
			t.Errorf("size: %v", err)
		}
		_, err := s.PutBytes([]byte("hello"))
		mustDo(t, err)
		if got, err := s.ReadAll(helloDigest); err != nil || string(got) != "hello" || len(*told) != 1 {
			t.Errorf("read: %q, %v, told %q", got, err, *told)
		}
		return
	}
	testenv.RequireRoot(t)
	dir, err := os.MkdirTemp("", "gantry-foreign")
	mustDo(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	mustDo(t, os.Chmod(dir, 0o755))
	_, err = Open(filepath.Join(dir, "store")).PutBytes([]byte("hello"))
	mustDo(t, err)
	mustDo(t, os.Chmod(filepath.Join(dir, "store"), 0o700))
	mustDo(t, os.Mkdir(filepath.Join(dir, "tmp"), 0o700))
	mustDo(t, os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky))
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestFallback_foreign$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), asNobody+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as another user: %v\n%s", err, out)
	}
}
