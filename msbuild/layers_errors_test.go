package msbuild

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLayers_errors has items that cannot be used: one error line with the tool's code, and nothing is pushed.
func TestLayers_errors(t *testing.T) {
	t.Parallel()
	s := newSite(t, "console")
	for name, text := range (files{"one/x.txt": "one", "two/x.txt": "two"}) {
		writeText(t, filepath.Join(s.dir, name), text)
	}
	s.layerItems("console.csproj",
		`<ContainerLayer Include="one" Files="one/*" TargetPath="/same" />`,
		`<ContainerLayer Include="two" Type="$(SecondType)" Files="$(SecondFiles)" TargetPath="/same" Order="AfterApp" />`)
	for _, tt := range []struct {
		code, text string
		more       []string
	}{
		{"GANTRY4018", "Digest, Files, Tarball, Image", []string{"-p:SecondType=Blob"}},
		{"GANTRY4026", "same/x.txt", []string{"-p:SecondFiles=two/*", "-p:GantryStrict=true"}},
	} {
		wantError(t, s.tryPush(tt.more...), tt.code, tt.text)
	}
	if tags := s.state(); tags != "" {
		t.Errorf("pushed: %s", tags)
	}
	r := s.push("-p:SecondFiles=two/*")
	says(t, r, "GANTRY4026", "same/x.txt", `"one"`, `"two"`)
	if strings.Contains(r.Output, "warning") {
		t.Errorf("a message became a warning:\n%s", r.Output)
	}
}
