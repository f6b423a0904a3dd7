package createlayers

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/layertoc"
	"github.com/gantry-build/gantry/tasks"
)

func TestConflicts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.dll", "not the app's")
	write(t, dir, "same.dll", "content of app.dll")
	write(t, dir, "data", "a file")
	write(t, dir, "x/app.dll", "below")
	digest := func(s string) cas.Digest { return cas.DigestOf([]byte(s)) }
	file := func(path, content string) layertoc.Entry {
		return layertoc.Entry{Path: path, Kind: layertoc.File, Digest: digest(content)}
	}
	of := func(path string, kind layertoc.Kind) layertoc.Entry { return layertoc.Entry{Path: path, Kind: kind} }
	link := layertoc.Entry{Path: "opt", Kind: layertoc.Link, Target: "usr/opt"}
	a := newApp(t)
	a.list(t)
	item := func(name string, entries ...layertoc.Entry) tasks.ExtraLayer {
		return a.known(t, blobItem(name, name), entries...)
	}
	after := func(l tasks.ExtraLayer) tasks.ExtraLayer {
		l.Order = tasks.OrderAfterApp
		return l
	}
	renamed := filesItem(t, "renamed", "/app", dir, "same.dll")
	renamed.Files.Files[0].Path = "app.dll"
	unknown := blobItem("unknown", "x")
	lost := item("lost", file("app/app.dll", "z"))
	lost.Blob.Contents = digest("lost")
	for _, tt := range []struct {
		name  string
		items []tasks.ExtraLayer
		want  string // empty for no conflict
	}{
		{"a file of the app's", []tasks.ExtraLayer{filesItem(t, "mine", "/app", dir, "app.dll")}, `the layer "mine" has /app/app.dll, and the layer "app" has other content`},
		{"the same above the app", []tasks.ExtraLayer{after(filesItem(t, "mine", "/app", dir, "app.dll"))}, `the layer "app" has /app/app.dll, and the layer "mine" has other content`},
		{"the same content", []tasks.ExtraLayer{renamed}, ""},
		{"another path", []tasks.ExtraLayer{filesItem(t, "mine", "/app", dir, "x/app.dll")}, ""},
		{"a file where the app has a folder", []tasks.ExtraLayer{filesItem(t, "mine", "/app", dir, "data")}, `"mine" has /app/data, and the layer "app"`},
		{"a file where the app has an empty folder", []tasks.ExtraLayer{item("blob", file("app/empty/below", "1"))}, `"blob" has /app/empty/below, and the layer "app"`},
		{"two more", []tasks.ExtraLayer{item("blob", file("app/app.dll", "1"), file("app/lib.dll", "2"), file("app/data/a.txt", "3"))}, "so it is with 2 more paths"},
		{"two blobs", []tasks.ExtraLayer{item("one", file("opt/x", "1")), item("two", file("opt/x", "2"))}, `the layer "one" has /opt/x, and the layer "two"`},
		{"two blobs with the same", []tasks.ExtraLayer{item("one", of("opt", layertoc.Folder), file("opt/x", "1")), item("two", file("opt/x", "1"))}, ""},
		{"a file below a file", []tasks.ExtraLayer{item("one", file("opt/x", "1")), item("two", file("opt/x/y", "1"))}, `has /opt/x,`},
		{"below a link", []tasks.ExtraLayer{item("one", link), item("two", file("opt/x", "1"))}, ""},
		{"a folder for a link", []tasks.ExtraLayer{item("one", link), item("two", of("opt", layertoc.Folder))}, `has /opt,`},
		{"a link, something below, another link", []tasks.ExtraLayer{
			item("one", link), item("two", file("opt/x", "1")), item("three", layertoc.Entry{Path: "opt", Kind: layertoc.Link, Target: "elsewhere"}),
		}, `the layer "one" has /opt, and the layer "three"`},
		{"devices are never the same", []tasks.ExtraLayer{item("one", of("dev/x", layertoc.Special)), item("two", of("dev/x", layertoc.Special))}, `has /dev/x,`},
		{"deletes a file of the app's", []tasks.ExtraLayer{after(item("blob", of("app/app.dll", layertoc.Deleted)))}, `the layer "app" has /app/app.dll, and the layer "blob" deletes it`},
		{"deletes a folder of the app's", []tasks.ExtraLayer{after(item("blob", of("app/data", layertoc.Deleted)))}, `the layer "blob" deletes it`},
		{"deletes below the app", []tasks.ExtraLayer{item("blob", of("app/app.dll", layertoc.Deleted))}, ""},
		{"deletes what no layer has", []tasks.ExtraLayer{after(item("blob", of("etc/x", layertoc.Deleted)))}, ""},
		{"empties the app's folder", []tasks.ExtraLayer{after(item("blob", of("app/", layertoc.Opaque)))}, `the layer "blob" deletes all that is in it`},
		{"empties everything", []tasks.ExtraLayer{after(item("blob", of("/", layertoc.Opaque)))}, `deletes all that is in it`},
		{"empties its own folder", []tasks.ExtraLayer{after(item("blob", of("opt/", layertoc.Opaque), file("opt/x", "1")))}, ""},
		{"contents that are not known", []tasks.ExtraLayer{unknown, filesItem(t, "x", "/x", dir, "app.dll")}, ""},
		{"contents that are lost", []tasks.ExtraLayer{lost}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			edit := a.with(t, tt.items...)
			resp, err := a.tryDeps(t, Deps{Store: a.store, Log: slog.New(slog.NewTextHandler(&log, nil))}, edit)
			must(t, err)
			said := strings.ReplaceAll(log.String(), `\"`, `"`)
			if strings.Contains(said, "GANTRY4026") != (tt.want != "") || !strings.Contains(said, tt.want) {
				t.Errorf("it says %s; want %q", said, tt.want)
			}
			if len(resp.Layers) != 4+len(tt.items) {
				t.Errorf("layers %s", layerNames(resp))
			}
			log.Reset()
			if _, err := a.tryDeps(t, Deps{Store: a.store, BlobsNeeded: true, Log: slog.New(slog.NewTextHandler(&log, nil))}, edit); err != nil || strings.Contains(log.String(), "GANTRY4026") {
				t.Errorf("it says again, for a remake: %v, %s", err, log.String())
			}
			_, err = a.tryRun(t, func(r *Request) { edit(r); r.Strict = true })
			if tt.want == "" {
				must(t, err)
			} else {
				wantError(t, err, diag.LayerConflict, tt.want)
			}
			if tt.name == "contents that are lost" && !strings.Contains(said, "paths of layer lost are not compared") {
				t.Errorf("it says %s", said)
			}
		})
	}
}
