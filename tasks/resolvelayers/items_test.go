package resolvelayers

import (
	"errors"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/tasks"
)

// TestType: what an item is, where Type does not say it.
func TestType(t *testing.T) {
	d := string(cas.DigestOf(nil))
	for _, tc := range []struct {
		item Item
		want string
	}{
		{Item{Include: d}, typeDigest},
		{Item{Include: "SHA256:abc"}, typeDigest},
		{Item{Include: "sha512:abc"}, typeDigest},
		{Item{Include: d, Files: "a"}, typeDigest},
		{Item{Include: "a", Files: "a/**"}, typeFiles},
		{Item{Include: "a.tar", Files: "a/**"}, typeFiles},
		{Item{Include: "a/b.bin", Layer: "a"}, typeFiles},
		{Item{Include: "a.tar"}, typeTarball},
		{Item{Include: "b/a.TAR.GZ"}, typeTarball},
		{Item{Include: "a.tgz"}, typeTarball},
		{Item{Include: "a.tar.zst"}, typeTarball},
		{Item{Include: "a.tar.xz"}, ""},
		{Item{Include: "r.example/team/agent:1"}, ""},
		{Item{Include: "agent", Repository: "team/agent"}, ""},
		{Item{Include: "models"}, ""},
		{Item{Include: "a.bin", Type: "tarball"}, typeTarball},
		{Item{Include: "r.example/a.tar", Type: "IMAGE"}, typeImage},
		{Item{Include: "x", Type: "Layer"}, ""},
	} {
		it := item{Item: &tc.item}
		err := it.chooseType()
		if it.kind != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%+v: got %q, %v, want %q", tc.item, it.kind, err, tc.want)
		}
		if err != nil && (diag.CodeOf(err) != diag.InvalidLayerItem || !strings.Contains(err.Error(), "Digest, Files, Tarball, Image")) {
			t.Errorf("%+v: got %v", tc.item, err)
		}
	}
}

// TestValidate_refused has what is wrong with an item by itself.
func TestValidate_refused(t *testing.T) {
	d := string(cas.DigestOf(nil))
	files := func(change func(*Item)) Item {
		it := Item{Include: "models", Files: "models/**"}
		change(&it)
		return it
	}
	for name, tc := range map[string]struct {
		item Item
		code diag.Code
		text string
	}{
		"no Include":           {Item{Type: "Image"}, diag.InvalidLayerItem, "empty Include"},
		"control character":    {Item{Include: "a\nb", Files: "a"}, diag.InvalidLayerItem, "control character"},
		"not UTF-8":            {Item{Include: "a\xff", Files: "a"}, diag.InvalidLayerItem, "UTF-8"},
		"long":                 {Item{Include: strings.Repeat("a", maxName+1), Files: "a"}, diag.InvalidLayerItem, "too long"},
		"Order":                {Item{Include: "a.tar", Order: "Top"}, diag.InvalidLayerItem, "BeforeApp or AfterApp"},
		"Platform":             {Item{Include: "a.tar", Platform: "linux/amd64"}, diag.InvalidLayerItem, "linux/amd64"},
		"short digest":         {Item{Include: d[:40], Repository: "a"}, diag.InvalidLayerItem, "malformed"},
		"upper-case digest":    {Item{Include: strings.ToUpper(d), Repository: "a"}, diag.InvalidLayerItem, "malformed"},
		"another algorithm":    {Item{Include: "sha512:" + strings.Repeat("a", 128), Repository: "a"}, diag.InvalidLayerItem, "not supported"},
		"no Repository":        {Item{Include: d}, diag.InvalidLayerItem, "set Repository"},
		"no Repository, a tag": {Item{Include: d, Reference: "1"}, diag.InvalidLayerItem, "set Repository"},
		"Repository":           {Item{Include: d, Repository: "A"}, diag.InvalidLayerItem, `Repository "A"`},
		"Registry": {Item{
			Include: d, Repository: "a",
			Registry: "https://r.example",
		}, diag.InvalidLayerItem, "without a scheme"},
		"Reference":         {Item{Include: d, Repository: "a", Reference: "-1"}, diag.InvalidLayerItem, `Reference "-1"`},
		"Reference, a name": {Item{Include: d, Reference: "r.example/A:1"}, diag.InvalidLayerItem, "r.example/A:1"},
		"Size":              {Item{Include: d, Repository: "a", Size: "1 MB"}, diag.InvalidLayerItem, "1 MB"},
		"Size of nothing":   {Item{Include: d, Repository: "a", Size: "0"}, diag.InvalidLayerItem, `Size "0"`},
		"MediaType": {Item{
			Include: d, Repository: "a",
			MediaType: "application/zip",
		}, diag.UnknownCompression, "application/zip"},
		"MediaType of xz":            {Item{Include: d, Repository: "a", MediaType: image.OCILayerTar + "+xz"}, diag.UnknownCompression, "xz"},
		"MediaType, foreign":         {Item{Include: d, Repository: "a", MediaType: image.OCIForeignGzip}, diag.ForeignLayer, "not followed"},
		"MediaType of a config":      {Item{Include: d, Repository: "a", MediaType: image.OCIConfig}, diag.NotALayer, "no layer"},
		"MediaType of a manifest":    {Item{Include: d, Repository: "a", MediaType: image.DockerManifest}, diag.NotALayer, "no layer"},
		"TargetPath of a digest":     {Item{Include: d, Repository: "a", TargetDirectory: "/x"}, diag.InvalidLayerItem, "TargetPath"},
		"Repository of files":        {files(func(i *Item) { i.Repository = "a" }), diag.InvalidLayerItem, "Digest and Image"},
		"MediaType of a tarball":     {Item{Include: "a.tar", MediaType: image.OCILayerTar}, diag.InvalidLayerItem, "MediaType"},
		"From of files":              {files(func(i *Item) { i.From = "1" }), diag.InvalidLayerItem, "From"},
		"no files":                   {Item{Include: "models", Type: "Files"}, diag.InvalidLayerItem, `Files="models/**"`},
		"Except alone":               {Item{Include: "a", Layer: "m", Except: "b"}, diag.InvalidLayerItem, "Except"},
		"glob":                       {files(func(i *Item) { i.Files = "models/[" }), diag.InvalidLayerItem, "models/["},
		"glob of Except":             {files(func(i *Item) { i.Except = "a;{" }), diag.InvalidLayerItem, `"{"`},
		"TargetPath":                 {files(func(i *Item) { i.TargetDirectory = `..\etc` }), diag.InvalidLayerItem, "leads out"},
		"Mode":                       {files(func(i *Item) { i.Mode = "rw-r--r--" }), diag.InvalidLayerItem, "octal"},
		"Mode, not octal":            {files(func(i *Item) { i.Mode = "0688" }), diag.InvalidLayerItem, "octal"},
		"Mode, large":                {files(func(i *Item) { i.Mode = "17777" }), diag.InvalidLayerItem, "octal"},
		"Mode, short":                {files(func(i *Item) { i.Mode = "7" }), diag.InvalidLayerItem, "octal"},
		"Owner":                      {files(func(i *Item) { i.Owner = "app" }), diag.InvalidLayerItem, "UID:GID"},
		"Owner, negative":            {files(func(i *Item) { i.Owner = "-1" }), diag.InvalidLayerItem, "UID:GID"},
		"Owner, group":               {files(func(i *Item) { i.Owner = "1:" }), diag.InvalidLayerItem, "UID:GID"},
		"Owner, a sign":              {files(func(i *Item) { i.Owner = "+1" }), diag.InvalidLayerItem, "UID:GID"},
		"From":                       {Item{Include: "r.example/a:1", Type: "Image", From: "-1"}, diag.InvalidLayerItem, `From "-1"`},
		"From and Base":              {Item{Include: "r.example/a:1", Type: "Image", From: "1", Base: "b"}, diag.InvalidLayerItem, "one of them"},
		"Base":                       {Item{Include: "r.example/a:1", Type: "Image", Base: "B:"}, diag.InvalidLayerItem, `"B:"`},
		"image":                      {Item{Include: "r.example/A", Type: "Image"}, diag.InvalidLayerItem, "r.example/A"},
		"image without a Reference":  {Item{Include: "agent", Type: "Image", Repository: "a"}, diag.InvalidLayerItem, "no Reference"},
		"image without a Repository": {Item{Include: "agent", Type: "Image", Reference: "1"}, diag.InvalidLayerItem, "no Repository"},
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{Items: []Item{tc.item}, BaseRegistry: "r.example", RuntimeIdentifier: "linux-x64"}
			err := r.Validate()
			if err == nil || diag.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.text) || !strings.Contains(err.Error(),
				"ContainerLayer") {
				t.Errorf("got %v, want %s and %q", err, tc.code, tc.text)
			}
		})
	}
	all := Request{Items: []Item{{Include: d}, {Include: "a.tar"}, {Include: "x"}}, PullPolicy: "sometimes"}
	var list interface{ Unwrap() []error }
	if err := all.Validate(); !errors.As(err, &list) || len(list.Unwrap()) != 3 {
		t.Errorf("got %v, want three problems", err)
	}
	for _, missing := range []Request{
		{Items: []Item{{Include: d, Repository: "a"}}, RuntimeIdentifier: "linux-x64"},
		{Items: []Item{{Include: "a.tar", Platform: "linux-x64"}}},
	} {
		if err := missing.Validate(); diag.CodeOf(err) != diag.InvalidLayerItem {
			t.Errorf("got %v", err)
		}
	}
}

// TestRepeated: a layer that is there twice, unless it is for different platforms.
func TestRepeated(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b Item
		ok   bool
	}{
		"tarball":                     {Item{Include: "a.tar"}, Item{Include: "a.tar"}, false},
		"other tarballs":              {Item{Include: "a.tar"}, Item{Include: "b.tar"}, true},
		"files":                       {Item{Include: "m", Files: "a"}, Item{Include: "m", Files: "b"}, false},
		"one layer of several items":  {Item{Include: "a", Layer: "m"}, Item{Include: "b", Layer: "m"}, true},
		"a layer with another's name": {Item{Include: "m", Files: "a"}, Item{Include: "b", Layer: "m"}, false},
		"for each platform":           {Item{Include: "a.tar", Platform: "linux-x64"}, Item{Include: "a.tar", Platform: "linux-arm64"}, true},
		"for one platform and all":    {Item{Include: "a.tar", Platform: "linux-x64"}, Item{Include: "a.tar"}, false},
		"images":                      {Item{Include: "r/a", Type: "Image", From: "0"}, Item{Include: "r/a", Type: "Image", From: "1"}, true},
	} {
		r := Request{Items: []Item{tc.a, tc.b}, RuntimeIdentifier: "linux-x64", BaseRegistry: "r.example"}
		if err := r.Validate(); (err == nil) != tc.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestReference: where images are looked for.
func TestReference(t *testing.T) {
	d := string(cas.DigestOf(nil))
	for _, tc := range []struct {
		item Item
		want string
	}{
		{Item{Include: "other.example/team/agent:1"}, "other.example/team/agent:1"},
		{Item{Include: "team/agent:1"}, "base.example/team/agent:1"},
		{Item{Include: "agent"}, "base.example/agent:latest"},
		{Item{Include: "docker.io/agent:1"}, "docker.io/library/agent:1"},
		{Item{Include: "index.docker.io/team/agent:1"}, "docker.io/team/agent:1"},
		{Item{Include: "team/agent:1", Registry: "other.example"}, "other.example/team/agent:1"},
		{Item{Include: "x", Repository: "team/agent", Reference: "1"}, "base.example/team/agent:1"},
		{Item{Include: "x", Repository: "team/agent", Reference: d}, "base.example/team/agent@" + d},
		{Item{Include: d, Repository: "team/agent"}, "base.example/team/agent@" + d},
		{Item{Include: "x", Repository: "agent", Reference: "1", Registry: "docker.io"}, "docker.io/library/agent:1"},
		{Item{Include: "x", Reference: "other.example/team/agent:1"}, "other.example/team/agent:1"},
	} {
		it := item{Item: &tc.item}
		ref, err := it.reference(&Request{BaseRegistry: "base.example"})
		if err != nil || ref.String() != tc.want {
			t.Errorf("%+v: got %s, %v, want %s", tc.item, ref, err, tc.want)
		}
	}
}

// TestPlatform: an item is for the platforms that it names, and for those which they may serve.
func TestPlatform(t *testing.T) {
	w := newWorld(t, nil)
	w.write("a.tar", string(tarOf(t, "a", "b")))
	for _, tc := range []struct {
		rid, platform string
		want          bool
	}{
		{"linux-x64", "", true},
		{"linux-x64", "linux-x64", true},
		{"linux-x64", "linux-arm64", false},
		{"linux-arm64", "linux-x64; Linux-ARM64", true},
		{"linux-musl-x64", "linux-x64", true},
		{"linux-x64", "linux-musl-x64", false},
		{"win-x64", "linux-x64", false},
	} {
		w.req.RuntimeIdentifier = tc.rid
		if got := w.must(Item{Include: "a.tar", Platform: tc.platform}); (len(got) == 1) != tc.want {
			t.Errorf("%+v: got %v", tc, got)
		} else if !tc.want {
			w.says("for another platform")
		}
	}
	for rid, platforms := range map[string]string{
		"linux-x64": "linux-musl-arm64;win10-x64;linux-s390x", "vendor.1-x64": "Vendor.1-x64",
	} {
		w.req.RuntimeIdentifier = rid
		w.must(Item{Include: "a.tar", Platform: platforms})
	}
	w.req.RuntimeIdentifier = "linux-x64"
	for platforms, unknown := range map[string]string{
		"foo": "foo", "linux-x64;linux-x46": "linux-x46", "linux-amd64": "linux-amd64", "linux-gnu-x64": "linux-gnu-x64",
	} {
		w.fails(diag.InvalidLayerItem, Item{Include: "a.tar", Platform: platforms}, `Platform "`+unknown+`"`)
	}
	w.write("graph.json", `{"runtimes":{"linux-x64":{"#import":["linux"]},"linux":{}}}`)
	w.req.RuntimeIdentifier, w.req.RidGraphPath = "linux-x64", w.dir+"/graph.json"
	if got := w.must(Item{Include: "a.tar", Platform: "linux"}); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	w.fails(diag.InvalidLayerItem, Item{Include: "a.tar", Platform: "foo"}, `Platform "foo"`)
	w.req.RidGraphPath = w.dir + "/none.json"
	w.fails(diag.InvalidValue, Item{Include: "a.tar"}, "ridGraphPath")
}

// TestOrder: the answer is in the order of the items, each with its place.
func TestOrder(t *testing.T) {
	w := newWorld(t, nil)
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		w.write(name+".tar", string(tarOf(t, name, name)))
	}
	w.write("x/1", "1")
	w.write("y/2", "2")
	got := w.must(
		Item{Include: "f.tar", Order: "afterapp", Description: "the last"}, Item{Include: "x/1", Layer: "m"}, Item{
			Include: "e.tar",
			Order:   "BeforeApp",
		},
		Item{Include: "d.tar"}, Item{Include: "y/2", Layer: "m"}, Item{Include: "c.tar"}, Item{Include: "b.tar"}, Item{Include: "a.tar"},
	)
	var names []string
	for _, l := range got {
		names = append(names, l.Name+" "+l.Order)
	}
	want := "f.tar AfterApp, m BeforeApp, e.tar BeforeApp, d.tar BeforeApp, c.tar BeforeApp, b.tar BeforeApp, a.tar BeforeApp"
	if strings.Join(names, ", ") != want {
		t.Errorf("got %q", names)
	}
	if got[0].Description != "the last" || len(got[1].Files.Files) != 2 || (*tasks.ExtraFiles)(nil) != got[0].Files {
		t.Errorf("got %+v", got)
	}
}
