package imagelist

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func graphOf(t testing.TB, text string) []Spec {
	t.Helper()
	specs, err := Parse("/repo/"+FileName, []byte(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return specs
}

// TestMatrix holds the rules of include and exclude to the example and the words of GitHub's documentation.
func TestMatrix(t *testing.T) {
	tests := map[string]struct{ matrix, want string }{
		"order of the file": {`b = [1, 2]
a = ["x", "y"]`, "1-x 1-y 2-x 2-y"},
		"one table": {`a = [1]`, "1"},
		"exclude all of a value": {`a = [1, 2]
b = [1, 2]
exclude = [{ a = 1 }]`, "2-1 2-2"},
		"exclude two": {`a = [1, 2]
b = [1, 2]
exclude = [{ a = 1, b = 2 }, { a = 2, b = 1 }]`, "1-1 2-2"},
		"exclude a text by a number": {`a = ["1", 2]
exclude = [{ a = 1 }]`, "2"},
		"include of its own": {`a = [1]
include = [{ a = 2 }]`, "1 2"},
		"include of another list": {`a = [1]
include = [{ z = "q" }, { a = 3, z = "p" }]`, "1 3-p"},
		"include without lists": {`include = [{ a = 1, b = 2 }, { a = 3 }]`, "1-2 3"},
		"include after exclude": {`a = [1, 2]
exclude = [{ a = 1 }]
include = [{ a = 1 }]`, "2 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			specs := graphOf(t, "[[image]]\nname = \"n\"\n[image.matrix]\n"+test.matrix)
			var got []string
			for _, s := range specs {
				got = append(got, strings.TrimPrefix(s.Name, "n-"))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestMatrix_include is the example of GitHub's documentation on expanding a matrix.
func TestMatrix_include(t *testing.T) {
	specs := graphOf(t, `[[image]]
name = "${fruit}.${animal}.${color}.${shape}"
[image.matrix]
fruit = ["apple", "pear"]
animal = ["cat", "dog"]
include = [
  { color = "green", shape = "" },
  { color = "pink", animal = "cat" },
  { fruit = "apple", shape = "circle" },
  { fruit = "banana", animal = "", color = "", shape = "" },
  { fruit = "banana", animal = "cat", color = "", shape = "" },
]`)
	want := []string{"apple.cat.pink.circle", "apple.dog.green.circle", "pear.cat.pink.", "pear.dog.green.", "banana...", "banana.cat.."}
	var got []string
	for _, s := range specs {
		got = append(got, s.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTemplate(t *testing.T) {
	values := map[string]string{"a": "1", "b.c": "2"}
	for text, want := range map[string]string{
		"":               "",
		"plain $ $$ $x}": "plain $ $$ $x}",
		"${a}":           "1",
		"x${a}${b.c}y":   "x12y",
		"$${a}":          "${a}",
		"$$${a}":         "$${a}",
		"$${${a}":        "${1",
		"{${a}}":         "{1}",
	} {
		tmpl, err := parseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, missing := tmpl.expand(values); got != want || missing != "" {
			t.Errorf("%q: got %q, %q missing, want %q", text, got, missing, want)
		}
	}
	for _, text := range []string{"${", "${}", "${a", "${a b}", "${${a}}", "x${"} {
		if _, err := parseTemplate(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestJSONLines(t *testing.T) {
	got := jsonLines([]byte(`{
 "a": 1, "b\u0041": -2.5e3,
 "c": { "d": "}]\"\\", "e":
   [true, [1, { "x": 2 }], {
 "f" : null, "g": {"deep": 1}}]}, "h": [], "i": {} }`), 4)
	want := map[string]int{
		"a": 2, "bA": 2, "c": 3, "c.d": 3, "c.e": 3, "c.e[0]": 4, "c.e[1]": 4, "c.e[1][0]": 4, "c.e[1][1]": 4, "c.e[2]": 4, "c.e[2].f": 5, "c.e[2].g": 5,
		"h": 5, "i": 5,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// bigGraph has a matrix of 12,800 images.
func bigGraph() string {
	var tools, variants []string
	for i := range 80 {
		tools = append(tools, fmt.Sprintf(`"tool%d"`, i))
	}
	for i := range 160 {
		variants = append(variants, fmt.Sprintf(`{ os = "os%d", version = "1.%d" }`, i%8, i/8))
	}
	return `[defaults]
platforms = ["linux/amd64", "linux/arm64"]
args = { MIRROR = "mirror.example.org" }
[[image]]
name = "${tool}-${v.os}-${v.version}"
context = "tools/${tool}"
file = "${v.os}.Dockerfile"
tags = ["registry.example.org/${tool}:${v.version}-${v.os}"]
args = { VERSION = "${v.version}" }
contexts = { base = "target:base" }
[image.matrix]
tool = [` + strings.Join(tools, ", ") + `]
v = [` + strings.Join(variants, ", ") + "]\n"
}

// TestMatrix_big bounds what 12,800 images cost to read: one of them allocates what it is made of.
func TestMatrix_big(t *testing.T) {
	text := bigGraph()
	var specs []Spec
	allocations := testing.AllocsPerRun(1, func() { specs = graphOf(t, text) })
	if len(specs) != 12800 || specs[12799].Name != "tool79-os7-1.19" {
		t.Fatalf("%d images, the last is %+v", len(specs), specs[len(specs)-1])
	}
	t.Logf("%.1f allocations an image", allocations/float64(len(specs)))
	if each := allocations / float64(len(specs)); each > 30 {
		t.Errorf("%.1f allocations an image", each)
	}
}

// TestList_big bounds the same images one by one, and in JSON.
func TestList_big(t *testing.T) {
	var graph, bake strings.Builder
	bake.WriteString(`{"target": {`)
	for i := range 12800 {
		fmt.Fprintf(&graph, "[[image]]\nname = \"n%d\"\ncontext = \"c%d\"\nargs.A = \"%d\"\n", i, i%80, i)
		if i > 0 {
			bake.WriteByte(',')
		}
		fmt.Fprintf(&bake, `"n%d": {"context": "c%d", "args": {"A": "%d"}, "tags": ["example.org/n%d:1"]}`, i, i%80, i, i)
	}
	bake.WriteString("}}")
	for name, test := range map[string]struct {
		text string
		most float64
	}{FileName: {graph.String(), 130}, "bake.json": {bake.String(), 130}} {
		var specs []Spec
		allocations := testing.AllocsPerRun(1, func() {
			var err error
			if specs, err = Parse("/repo/"+name, []byte(test.text), Options{}); err != nil {
				t.Fatal(err)
			}
		})
		if len(specs) != 12800 {
			t.Fatalf("%s: %d images", name, len(specs))
		}
		t.Logf("%s: %.1f allocations an image", name, allocations/12800)
		if each := allocations / 12800; each > test.most {
			t.Errorf("%s: %.1f allocations an image", name, each)
		}
		if name == FileName && specs[12799].Origin != FileName+":51197" {
			t.Errorf("the last image is at %s", specs[12799].Origin)
		}
	}
}

// TestMatrix_tooBig is refused before it is made.
func TestMatrix_tooBig(t *testing.T) {
	axis := "[" + strings.Repeat("1, ", 400) + "]"
	text := "[[image]]\nname = \"n\"\n[image.matrix]\na = " + axis + "\nb = " + axis + "\nc = " + axis + "\nd = " + axis
	_, err := Parse("/repo/"+FileName, []byte(text), Options{})
	if err == nil || !strings.Contains(err.Error(), "more than 100000 images") {
		t.Errorf("%v", err)
	}
}
