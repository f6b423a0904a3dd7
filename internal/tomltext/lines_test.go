package tomltext

import (
	"fmt"
	"strings"
	"testing"
)

func TestScanLines(t *testing.T) {
	got, deep := scanLines(`top = 1
a.b = """
[not] # a table
c = 3"""
# d = 1
[ t . "x.y" ] # e
k = [ # f
  "]", 2,
]
after = 'a"' # "
[[l]]
x = { y = 1 }
[l.m]
n = 1
[[l.o]]
p = '''
''''' 
[[l.o]]
[[l]]
[l.m]
n.q = 1
last = 5`)
	want := map[string]int{
		"top": 1, "a": 2, "a.b": 2, "t": 6, "t.x.y": 6, "t.x.y.k": 7, "t.x.y.after": 10, "l": 11, "l[0]": 11, "l[0].x": 12, "l[0].m": 13, "l[0].m.n": 14,
		"l[0].o": 15, "l[0].o[0]": 15, "l[0].o[0].p": 16, "l[0].o[1]": 18, "l[1]": 19, "l[1].m": 20, "l[1].m.n": 21, "l[1].m.n.q": 21, "l[1].m.last": 22,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) || deep != 0 {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// FuzzLines reads what need not be TOML.
func FuzzLines(f *testing.F) {
	f.Add("[[image]]\nname = \"a\"\nargs.X = '''\n1'''\n[image.matrix]\nos = [\n  \"a\", # b\n]\n")
	f.Add("[ a . \"b.c\" ]\n'd' = { e = [1] }\n[[f.g]]\n[f.g.h]\n")
	f.Add("a = \"\"\"\\\n\"\"\"\"\n[[a\n= 1\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		lines := 1 + strings.Count(text, "\n")
		found, deep := scanLines(text)
		if deep < 0 || deep > lines {
			t.Errorf("line %d of %d is too deep", deep, lines)
		}
		for path, line := range found {
			if line < 1 || line > lines {
				t.Errorf("%q is in line %d of %d", path, line, lines)
			}
		}
	})
}
