package publish

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks/resolvelayers"
)

func TestParseItem(t *testing.T) {
	for text, want := range map[string]resolvelayers.Item{
		"agent.tar":         {Include: "agent.tar"},
		"Include=a=b.tar":   {Include: "a=b.tar"},
		"a,b.tar":           {Include: "a,b.tar"},
		"x,order=AfterApp":  {Include: "x", Order: "AfterApp"},
		"x,Description=a,b": {Include: "x", Description: "a,b"},
		"models,Files=m/{a,b}/**;n/*,TargetPath=/models,Mode=0640,Owner=1:2": {
			Include: "models", Files: "m/{a,b}/**;n/*", TargetDirectory: "/models", Mode: "0640", Owner: "1:2",
		},
		"sha256:00,Registry=r:5000,Repository=a/b,Reference=1.0,MediaType=m/x+gzip,Size=1,Platform=linux-x64": {
			Include: "sha256:00", Registry: "r:5000", Repository: "a/b", Reference: "1.0", MediaType: "m/x+gzip", Size: "1", Platform: "linux-x64",
		},
		"a:1,Type=Image,From=2,Base=b:1,Except=e": {Include: "a:1", Type: "Image", From: "2", Base: "b:1", Except: "e"},
	} {
		got, err := parseItem(text)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", text, err, d)
		}
	}
	for text, says := range map[string]string{
		"x,Ordr=AfterApp":       "did you mean Order?",
		"x,Colour=red":          "there are Include, Type,",
		"x,Order=a,Order=b":     "has Order twice",
		"x,Order=":              "has nothing for Order",
		"":                      "has nothing for Include",
		"x,Include=y":           "has Include twice",
		"x,Layer=y":             "unknown key Layer",
		"x,Files=**,Except=,x=": "has nothing for Except",
	} {
		if got, err := parseItem(text); diag.CodeOf(err) != diag.BadUsage || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v, want an error that says %q", text, got, err, says)
		}
	}
}

// TestItems: the layers that --layer names are in the image, from the base's registry where none is named, and the second publish makes
// none of them. A conflict is an error when it is to be.
func TestItems(t *testing.T) {
	s := newStreamed(t)
	agent := testenv.PushTinyBase(t, s.proxy.Registry(), "agents", "1", basemaker.TinyOptions{Seed: "agent", Layers: 1}).Images[0]
	m, err := image.ParseManifest(agent.Manifest.Data, agent.Manifest.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.env.Dir, "m.onnx"), []byte("model"), 0o644); err != nil {
		t.Fatal(err)
	}
	without, err := s.run(t)
	if err != nil {
		t.Fatal(err)
	}
	s.o.LayerItems = []string{string(m.Layers[0].Digest) + ",Repository=agents", "models,Files=*.onnx,TargetPath=/models,Order=AfterApp,Description=the models"}
	made := 0
	s.said = func(line string) {
		if strings.HasPrefix(line, "made layer") {
			made++
		}
	}
	first, err := s.run(t)
	if err != nil || first == without || made != 1 {
		t.Fatalf("%v, %s, made %d layers", err, first, made)
	}
	_, _, body := s.proxy.Registry().Manifest("shop", "1")
	got, err := image.ParseManifest(body, image.OCIManifest)
	if err != nil {
		t.Fatal(err)
	}
	n := len(got.Layers)
	if n != 3+4 || got.Layers[3].Digest != m.Layers[0].Digest { // of the base three, then the agent, two of the app's, the models
		t.Errorf("layers %+v", got.Layers)
	}
	if config := string(s.proxy.Registry().Blob("shop", string(got.Config.Digest))); !strings.Contains(config, `"created_by":"the models"`) {
		t.Errorf("configuration %s", config)
	}
	s.env.Store, made = cas.Open(filepath.Join(t.TempDir(), "another")), 0
	s.proxy.Reset()
	if again, err := s.run(t); err != nil || again != first || made != 0 || len(s.proxy.Requests()) != 3 {
		t.Errorf("fresh: %v, %s, want %s; made %d layers, %d requests", err, again, first, made, len(s.proxy.Requests()))
	}
	s.o.Strict, s.o.LayerItems = true, append(s.o.LayerItems, "shop,Files=m.onnx,TargetPath=/app/shop")
	if _, err := s.run(t); diag.CodeOf(err) != diag.LayerConflict {
		t.Errorf("got %v, want %s", err, diag.LayerConflict)
	}
}
