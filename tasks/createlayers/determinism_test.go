package createlayers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLayersInAnotherProcess is no test of its own: TestSameBytesEverywhere runs it in processes with other surroundings.
func TestLayersInAnotherProcess(t *testing.T) {
	folder := os.Getenv("GANTRY_TEST_FOLDER")
	if folder == "" {
		return
	}
	a := newApp(t)
	a.dir = folder
	a.list(t)
	fmt.Println("digests: " + digests(a.run(t, nil)))
}

// The same files give the same layers in another folder, made in another order with other times, rights, umask, locale, time
// zone, user name and number of cores, and with other dates in the endpoint list.
func TestSameBytesEverywhere(t *testing.T) {
	a := newApp(t)
	a.list(t)
	want := digests(a.run(t, nil))
	tests := []struct {
		name  string
		umask string
		mode  os.FileMode
		env   []string
	}{
		{"one core", "077", 0o600, []string{"GOMAXPROCS=1", "TZ=Asia/Kathmandu", "LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8", "USER=x", "HOME=/nonexistent"}},
		{"two cores", "000", 0o777, []string{"GOMAXPROCS=2", "TZ=America/St_Johns", "LC_ALL=C", "SOURCE_DATE_EPOCH=1"}},
		{"many cores", "022", 0o444, []string{"GOMAXPROCS=9", "TZ=UTC"}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "another place with ä", "out")
			at := time.Date(1990+i, 1, 2, 3, 4, 5, 6, time.UTC)
			fill(t, dir, at.Format("Mon, 02 Jan 2006 15:04:05 GMT"))
			must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					err = os.Chmod(path, tt.mode)
				}
				if err == nil {
					err = os.Chtimes(path, at, at)
				}
				return err
			}))
			cmd := exec.Command("sh", "-c", "umask "+tt.umask+`; exec "$0" "$@"`, os.Args[0], "-test.run=^TestLayersInAnotherProcess$")
			cmd.Env = append(os.Environ(), append(tt.env, "GANTRY_TEST_FOLDER="+dir)...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			_, after, _ := strings.Cut(string(out), "digests: ")
			if got, _, _ := strings.Cut(after, "\n"); got != want {
				t.Errorf("layers\n got %s\nwant %s", got, want)
			}
		})
	}
}
