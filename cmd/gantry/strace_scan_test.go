package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestScanReadsNothingUnchanged counts what a scan of an unchanged publish folder asks of the system: one question for each file and its source,
// and no file of either is opened.
func TestScanReadsNothingUnchanged(t *testing.T) {
	testenv.Require(t, "strace")
	gantry := testenv.BuildGantry(t)
	dir := realTempDir(t)
	var items []request
	for i := range 40 {
		name := fmt.Sprintf("f%02d.dll", i)
		for _, folder := range []string{"app", "lib"} {
			mustDo(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
			mustDo(t, os.WriteFile(filepath.Join(dir, folder, name), []byte(name), 0o644))
		}
		items = append(items, request{"path": name, "sourcePath": "lib/" + name, "origin": "app"})
	}
	time.Sleep(100 * time.Millisecond) // files of this moment are read again by the next scan
	mustDo(t, os.WriteFile(filepath.Join(dir, "started"), nil, 0o644))
	writeRequest(t, dir, "scan", request{"folderPath": "app", "items": items, "recordPath": "record.json", "startedPath": "started"}, "")
	scan := func(strace ...string) {
		t.Helper()
		args := append(strace, gantry, "scan", "--request", "scan.json", "--response", "scan.out.json")
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = []string{"HOME=" + dir, "PATH=/usr/bin:/bin", "GANTRY_CACHE_DIR=" + filepath.Join(dir, "store")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	trace := func() (opened []string, asked int) {
		t.Helper()
		log := filepath.Join(dir, "strace")
		scan("strace", "-f", "-qq", "-e", "trace=%file", "-o", log)
		data, err := os.ReadFile(log)
		mustDo(t, err)
		for line := range strings.Lines(string(data)) {
			switch {
			case !strings.Contains(line, ".dll"):
			case strings.Contains(line, "open"):
				opened = append(opened, line)
			default:
				asked++
			}
		}
		return opened, asked
	}
	if opened, _ := trace(); len(opened) != 80 {
		t.Errorf("the first scan opened %d files, want 80", len(opened))
	}
	if opened, asked := trace(); len(opened) != 0 || asked != 81 { // once for the kind of the file system
		t.Errorf("opened %v, and asked %d times, want 81", opened, asked)
	}
}
