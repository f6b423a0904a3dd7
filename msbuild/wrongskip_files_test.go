package msbuild

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestWrongSkip_files changes files of the publish folder. The changes add up.
func TestWrongSkip_files(t *testing.T) {
	t.Parallel()
	k := newSkips(t, "console")
	at := time.Unix(1700000000, 123456789)
	in := func(name string) string { return filepath.Join(k.publishDir(), filepath.FromSlash(name)) }
	put := func(name, content string) {
		k.t.Helper()
		k.check(os.Chtimes(k.write(name, content), at, at))
	}
	move := func(from, to string) {
		k.t.Helper()
		k.check(os.Rename(in(from), in(to)))
	}
	put("data/a.txt", "content of a")
	put("data/b.txt", "content of b")
	k.check(os.Symlink("a.txt", in("data/link.txt")))
	k.first()
	tests := []struct {
		name   string
		change func()
		same   bool
	}{
		// the same size and the same time to the nanosecond: a build that sets all times, cp -p, rsync -t
		{name: "content alone", change: func() { put("data/a.txt", "CONTENT OF A") }},
		// file names or order left out: skaffold#1740
		{name: "two files change places", change: func() {
			move("data/a.txt", "data/c.txt")
			move("data/b.txt", "data/a.txt")
			move("data/c.txt", "data/b.txt")
		}},
		{name: "another name", change: func() { move("data/b.txt", "data/d.txt") }},
		{name: "another folder", change: func() {
			k.check(os.Mkdir(in("more"), 0o755))
			move("data/d.txt", "more/d.txt")
		}},
		{name: "a link leads to another file", change: func() {
			put("data/e.txt", "content of e")
			k.check(os.Remove(in("data/link.txt")))
			k.check(os.Symlink("e.txt", in("data/link.txt")))
		}},
		// a checkout, a cache or a clock gives an older time
		{name: "an older file", change: func() {
			put("data/a.txt", "content of A")
			old := time.Unix(1000000000, 0)
			k.check(os.Chtimes(in("data/a.txt"), old, old))
		}},
		// nothing known about a new item, so it is taken for unchanged: dt#1476
		{name: "a new file", change: func() { put("new.txt", "") }},
		{name: "a new folder", change: func() { k.check(os.Mkdir(in("empty"), 0o755)) }},
		{name: "a file less", change: func() { k.check(os.Remove(in("new.txt"))) }},
		// seen, looked at, and found equal: the image stays
		{name: "a new time", same: true, change: func() {
			now := time.Now()
			k.check(os.Chtimes(in("data/a.txt"), now, now))
		}},
		{name: "other rights", same: true, change: func() { k.check(os.Chmod(in("data/a.txt"), 0o755)) }},
	}
	for _, tt := range tests {
		k.in(t, tt.name, func(*testing.T) {
			tt.change()
			stages := "create-layers"
			if tt.same {
				stages = "" // the content is what is listed
			}
			k.again(stages, !tt.same)
		})
	}
	k.in(t, "nothing", func(*testing.T) { k.again("", false) })
	k.holds("app", "latest", k.publishDir())
}

// TestWrongSkip_unreadable takes the right to read a file away, which changes neither its size nor its time (unhashable input ignored:
// earthly PR#3524). It runs as a user to whom that means something.
func TestWrongSkip_unreadable(t *testing.T) {
	t.Parallel()
	testenv.RequireRoot(t)
	k := newSkips(t, "console")
	k.asNobody()
	// the packaged tool may be run by its owner only, and the calls are written beside the script
	tool, err := os.ReadFile(packagedTool(t))
	k.check(err)
	k.check(os.WriteFile(k.script+".copy", tool, 0o755))
	testenv.Edit(t, k.script, packagedTool(t), k.script+".copy")
	k.check(os.Chmod(filepath.Dir(k.script), 0o777))
	secret := k.write("secret.txt", "1")
	k.check(os.Chown(secret, 65534, 65534))
	k.first()
	k.check(os.Chmod(secret, 0))
	wantError(t, k.tryPush(k.more...), "GANTRY4002", "secret.txt")
	k.calls()
	k.isNew(k.digest("app"), false)
	// and the failure is not taken for a success: earthly#4054
	wantError(t, k.tryPush(k.more...), "GANTRY4002", "secret.txt")
	k.calls()
	k.check(os.Chmod(secret, 0o600))
	k.check(os.WriteFile(secret, []byte("2"), 0o600))
	k.again("create-layers", true)
}

// TestWrongSkip_configFiles changes files that are no code: skaffold#8226, skaffold PR#2728. And the SDK writes web.config and the list of
// static files anew in each publish, which must not look new each time.
func TestWrongSkip_configFiles(t *testing.T) {
	t.Parallel()
	k := newSkips(t, "web")
	k.first()
	written := func() time.Time {
		info, err := os.Stat(filepath.Join(k.publishDir(), "web.config"))
		k.check(err)
		return info.ModTime()
	}
	before := written()
	k.in(t, "web.config is written anew", func(t *testing.T) {
		k.again("", false)
		if written().Equal(before) {
			t.Error("web.config was not written: the test shows nothing")
		}
	})
	k.in(t, "web.config", func(*testing.T) {
		text := `<configuration><system.webServer><handlers /></system.webServer></configuration>`
		k.check(os.WriteFile(filepath.Join(k.dir, "web.config"), []byte(text), 0o644))
		k.again("create-layers", true)
	})
	k.in(t, "appsettings.json", func(*testing.T) {
		file := filepath.Join(k.dir, "appsettings.json")
		data, err := os.ReadFile(file)
		k.check(err)
		k.check(os.WriteFile(file, append(data, '\n'), 0o644))
		k.again("create-layers", true)
	})
}
