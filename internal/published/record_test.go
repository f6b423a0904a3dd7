package published

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sample() Record {
	stat := Stat{Size: 1, ModTime: -5, ChangeTime: 1 << 62, Device: 1 << 63, Inode: 1<<64 - 1}
	a, b := cas.DigestOf([]byte("a")), cas.DigestOf([]byte("b"))
	return Record{
		Files: map[string]File{
			"a-b":       {Content: Content{stat, a, true}},
			"a/b <&> ä": {Content: Content{stat, a, false}, Source: Content{stat, b, true}, Named: true},
			"empty":     {Content: Content{Stat{}, cas.DigestOf(nil), false}},
		},
		Emptied: []string{"x", "x/y"},
	}
}

func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not", "there", "r.json")
	want := sample()
	must(t, Write(path, "/publish", want))
	got, err := Read(path, "/publish/")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	if strings.Contains(string(data), "publish") {
		t.Errorf("a path of this machine is in it: %s", data)
	}
	before, err := os.Stat(path)
	must(t, err)
	must(t, Write(path, "/publish", want))
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("an equal record was written again: %v", err)
	}
	if _, err := Read(path, "/other"); err == nil {
		t.Error("the record of another folder was read")
	}
	if _, err := Read(path+"x", "/publish"); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	must(t, Write(path, "/publish", Record{}))
	if got, err = Read(path, "/publish"); err != nil || len(got.Files)+len(got.Emptied) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r")
	f, err := os.Create(path)
	must(t, err)
	must(t, f.Truncate(MaxBytes+1))
	must(t, f.Close())
	if _, err := Read(path, "/p"); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v", err)
	}
}

func TestParse_refused(t *testing.T) {
	good, err := encode(sample(), nameOf("/p"))
	must(t, err)
	edit := func(from, to string) string {
		t.Helper()
		s := strings.Replace(string(good), from, to, 1)
		if s == string(good) {
			t.Fatalf("%s is not in %s", from, good)
		}
		return s
	}
	for name, text := range map[string]string{
		"cut":                  string(good[:len(good)-1]),
		"more":                 string(good) + " ",
		"two":                  string(good) + string(good),
		"version":              edit(`"version":1`, `"version":0`),
		"unknown field":        edit(`"named"`, `"nameless"`),
		"no folder":            edit(`"folder"`, `"folter"`),
		"digest":               edit(`"file":"sha256:c`, `"file":"sha256:C`),
		"digest, a letter":     edit(`"file":"sha256:c`, `"file":"sha256:g`),
		"digest, a hole":       edit(`"file":"sha256:ca`, `"file":"sha256:c-`),
		"no digest":            edit(`"file":"sha256:c`, `"file":"","path":"sha256:c`),
		"no content":           edit(`"file":`, `"source":`),
		"short":                edit(` 1 -5`, ` 1`),
		"long":                 edit(` 1 -5`, ` 1 1 -5`),
		"negative size":        edit(` 1 -5`, ` -1 -5`),
		"huge size":            edit(` 1 -5`, ` 9223372036854775808 -5`),
		"another form":         edit(` 1 -5`, ` +1 -5`),
		"two spaces":           edit(` 1 -5`, ` 1  -5`),
		"neither":              edit(` true"`, ` TRUE"`),
		"path twice":           edit(`"a-b"`, `"a/b \u003c\u0026\u003e ä"`),
		"order":                edit(`"a-b"`, `"b"`),
		"path out":             edit(`"a-b"`, `"../a"`),
		"absolute path":        edit(`"a-b"`, `"/a"`),
		"empty path":           edit(`"a-b"`, `""`),
		"order of folders":     edit(`["x","x/y"]`, `["x/y","x"]`),
		"path out of a folder": edit(`["x","x/y"]`, `["x","x/.."]`),
		"null":                 "null",
		"list":                 "[]",
		"empty":                "",
	} {
		if r, err := parse([]byte(text), nameOf("/p")); err == nil || len(r.Files) != 0 {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
}

// FuzzParse reads damaged records: what is accepted is written and read as the same.
func FuzzParse(f *testing.F) {
	good, err := encode(sample(), nameOf("/p"))
	must(f, err)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"version":1,"folder":"` + string(nameOf("/p")) + `","files":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data, nameOf("/p"))
		if err != nil {
			return
		}
		again, err := encode(r, nameOf("/p"))
		must(t, err)
		same, err := parse(again, nameOf("/p"))
		if err != nil || len(r.Emptied)+len(same.Emptied) > 0 && !reflect.DeepEqual(r.Emptied, same.Emptied) || !reflect.DeepEqual(r.Files, same.Files) {
			t.Errorf("got %+v, %v, want %+v", same, err, r)
		}
	})
}

func TestContent_Of(t *testing.T) {
	c := sample().Files["a-b"].Content
	if d, ok := c.Of(c.Stat); !ok || d != c.Digest {
		t.Errorf("got %s, %v", d, ok)
	}
	for i := range reflect.TypeFor[Stat]().NumField() {
		other := c.Stat
		switch f := reflect.ValueOf(&other).Elem().Field(i); f.Kind() {
		case reflect.Int64:
			f.SetInt(f.Int() - 1)
		default:
			f.SetUint(f.Uint() - 1)
		}
		if _, ok := c.Of(other); ok {
			t.Errorf("a file with another %s is taken for it", reflect.TypeFor[Stat]().Field(i).Name)
		}
	}
	c.Settled = false
	if _, ok := c.Of(c.Stat); ok {
		t.Error("a file that was not settled is taken for it")
	}
	if _, ok := (&Content{Settled: true}).Of(Stat{}); ok {
		t.Error("nothing is taken for it")
	}
}

func TestStat_times(t *testing.T) {
	now := time.Unix(1700000000, 500)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixNano() }
	second := now.Truncate(time.Second)
	for _, tt := range []struct {
		name                    string
		s                       Stat
		settled, since, written bool
	}{
		{"old", Stat{ModTime: ago(time.Hour), ChangeTime: ago(time.Minute), Inode: 1}, true, false, false},
		{"written in place", Stat{ModTime: ago(time.Minute), ChangeTime: ago(time.Minute), Inode: 1}, true, false, true},
		{"this tick", Stat{ModTime: ago(time.Hour), ChangeTime: ago(Tick / 2), Inode: 1}, false, true, false},
		{"the tick before", Stat{ModTime: ago(time.Hour), ChangeTime: ago(Tick + 1), Inode: 1}, true, false, false},
		{"content of the future", Stat{ModTime: ago(-time.Hour), ChangeTime: ago(time.Minute), Inode: 1}, false, false, false},
		{"the end of time", Stat{ModTime: 1<<63 - 1, ChangeTime: 1<<63 - 1, Inode: 1}, false, true, true},
		{"whole seconds", Stat{ModTime: 1, ChangeTime: second.Add(-time.Second).UnixNano(), Inode: 1}, false, true, false},
		{"whole seconds, old", Stat{ModTime: 1, ChangeTime: second.Add(-3 * time.Second).UnixNano(), Inode: 1}, true, false, false},
		{"no change time", Stat{ModTime: ago(time.Minute), Inode: 1}, false, false, false},
		{"no change time, new", Stat{ModTime: ago(0), Inode: 1}, false, true, false},
		{"no inode", Stat{ModTime: ago(time.Hour), ChangeTime: ago(time.Minute)}, false, false, false},
	} {
		if got := tt.s.Settled(now); got != tt.settled {
			t.Errorf("%s: settled: %v", tt.name, got)
		}
		if got := tt.s.Since(now.UnixNano()); got != tt.since {
			t.Errorf("%s: since: %v", tt.name, got)
		}
		if got := tt.s.WrittenInPlace(); got != tt.written {
			t.Errorf("%s: written in place: %v", tt.name, got)
		}
	}
}

// TestOf looks at real files.
func TestOf(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	must(t, os.WriteFile(path, []byte("1"), 0o644))
	must(t, os.Link(path, link))
	stat := func(path string) Stat {
		fi, err := os.Lstat(path)
		must(t, err)
		f, err := os.Open(path)
		must(t, err)
		defer f.Close()
		s := Of(path, fi)
		if open, err := OfOpen(f); err != nil || open != s {
			t.Errorf("open it is %+v, %v, else %+v", open, err, s)
		}
		return s
	}
	a := stat(path)
	if !a.SameFile(stat(link)) || a.SameFile(Stat{Device: a.Device}) || (Stat{}).SameFile(Stat{}) {
		t.Errorf("%+v is not the file that %+v is", a, stat(link))
	}
	if !a.WrittenInPlace() {
		t.Errorf("%+v was written in place", a)
	}
	old := time.Unix(1600000000, 0)
	must(t, os.Chtimes(path, old, old))
	if s := stat(path); s.WrittenInPlace() || s.ModTime != old.UnixNano() || s.ChangeTime < a.ChangeTime {
		t.Errorf("got %+v", s)
	}
}
