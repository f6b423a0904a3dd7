package msbuild

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/testenv"
)

// TestWrongSkip_extraLayers changes what ContainerLayer items stand for in the ways that a comparison of names or times does not see.
func TestWrongSkip_extraLayers(t *testing.T) {
	t.Parallel()
	k := newSkips(t, "console")
	k.pushLayers("tools/image", nil, files{"opt/tool": "old"})
	model, static := filepath.Join(k.dir, "models", "a.onnx"), filepath.Join(k.dir, "static.tar")
	writeText(t, model, "old")
	writeText(t, static, string(files{"srv/static": "old"}.tar(t)))
	items := `<ContainerLayer Include="image" Type="Image" Repository="tools/image" Reference="1" From="0" />
<ContainerLayer Include="models" Files="models/**" TargetPath="/models" />
<ContainerLayer Include="static.tar" />`
	k.layerItems("console.csproj", items)
	k.first()
	// replaced by another file of the same size, with the same time
	replace := func(path, text string) {
		info, err := os.Stat(path)
		k.check(err)
		k.check(os.WriteFile(path+".new", []byte(text), 0o644))
		k.check(os.Chtimes(path+".new", info.ModTime(), info.ModTime()))
		k.check(os.Rename(path+".new", path))
	}
	tests := []struct {
		name, runs string
		change     func()
		path, want string
	}{
		{"nothing", "", func() {}, "opt/tool", "old"},
		{"the tag of an image", "create-layers", func() { k.pushLayers("tools/image", nil, files{"opt/tool": "new"}) }, "opt/tool", "new"},
		{"a file, in place", "create-layers", func() {
			info, err := os.Stat(model)
			k.check(err)
			k.check(os.WriteFile(model, []byte("not"), 0o644))
			k.check(os.Chtimes(model, info.ModTime(), info.ModTime()))
		}, "models/a.onnx", "not"},
		{"a tarball", "create-layers", func() { replace(static, string(files{"srv/static": "new"}.tar(t))) }, "srv/static", "new"},
		{"no item any more", "create-layers", func() {
			testenv.Edit(t, filepath.Join(k.dir, "console.csproj"), items, "")
		}, "opt/tool", ""},
	}
	for _, tt := range tests {
		k.in(t, tt.name, func(t *testing.T) {
			tt.change()
			k.push()
			var ran []string
			for _, stage := range k.calls() {
				if stage != "push" {
					ran = append(ran, stage)
				}
			}
			if got := strings.Join(ran, " "); got != tt.runs {
				t.Errorf("stages: got %q, want %q", got, tt.runs)
			}
			want := ""
			if tt.want != "" {
				want = digestOf(t, strings.NewReader(tt.want))
			}
			if got := appFiles(t, k.image("app", "latest"), 3)[tt.path]; got != want {
				t.Errorf("%s does not have the content %q", tt.path, tt.want)
			}
			k.isNew(k.digest("app"), tt.runs != "")
		})
	}
	k.has("resolve-layers.request.json", false)
	// what is left is the image of a project that never had an item
	if got, clean := k.last, k.clean(); got != clean {
		t.Errorf("got %s, want %s", got, clean)
	}
}
