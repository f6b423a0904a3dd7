package tomltext

import (
	"errors"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	d, err := Parse([]byte(`top = 1
a.b = """
t.z = 3
[t]"""
# a.c = 3
[ t ] # a table
x = 4
  "y" = 5
[[l]]
x = 6
[[l]]
z = 0
x = 7
[[l.m]]
q = 1
[[l.m]]
"\u0071" = [
  "x",
]
[inline]
v = {w = 8}
[p.q]
r = 1
[p]
`), Max)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"top": 1, "a": 2, "a.b": 2, "t": 6, "t.x": 7, "t.y": 8, "t.z": 6, "l": 9, "l[0]": 9, "l[0].x": 10, "l[1]": 11, "l[1].x": 13, "l[1].none": 11,
		"l[1].m": 14, "l[1].m[0]": 14, "l[1].m[0].q": 15, "l[1].m[1].q": 17, "l[1].m[1].q[0]": 17, "l[1].m[1].none": 16, "l.x": 9,
		"inline": 20, "inline.v.w": 21, "p": 24, "p.q": 22, "p.q.r": 23, "none": 1, "": 1,
	} {
		if got := d.Line(path); got != want {
			t.Errorf("%s: got line %d, want %d", path, got, want)
		}
	}
	if d, err = Parse([]byte("\r\n[t]\r\nx = 1\r\n"), Max); err != nil || d.Line("t.x") != 3 {
		t.Errorf("with carriage returns: got line %d, %v", d.Line("t.x"), err)
	}
}

func TestParse_errors(t *testing.T) {
	long := strings.Repeat("a.", maxNested)
	for text, want := range map[string]int{
		"a = 1\n\nb\n": 3, "a = 1\na = 2\n": 2, "\xff": 1, "a = 1\n\n\xc3\x28": 3, "x = '": 1,
		"a = [\n" + strings.Repeat("[", maxNested) + strings.Repeat("]", maxNested+1): 2, "\na = " + strings.Repeat("{a=", maxNested+1) + "1" + strings.Repeat("}", maxNested+1): 2, "\n\n" + long + "a = 1": 3, "\n[" + long + "a]": 2,
		"a = {\n b = 1, " + long + "a = 1 }": 2, "a = {\n\"a\"." + strings.Repeat("'a' . ", maxNested) + "a = 1 }": 2,
	} {
		_, err := Parse([]byte(text), Max)
		var e *Error
		if !errors.As(err, &e) || e.Line != want || e.Text == "" {
			t.Errorf("%q: got %v, want line %d", text, err, want)
		}
	}
	if _, err := Parse([]byte("a = 1"), 4); err == nil {
		t.Error("a document larger than the limit is read")
	}
	deepest := "a = " + strings.Repeat("[", maxNested) + strings.Repeat("]", maxNested) + "\n" + long[:len(long)-2] + "b = 1\nc = { " +
		long[:len(long)-1] + " = 1, " + strings.ReplaceAll(long[:len(long)-1], "a", "b") + " = 1 }\nd = [" + strings.Repeat("1.5, ", maxNested) + "]"
	if _, err := Parse([]byte(deepest), len(deepest)); err != nil {
		t.Errorf("as deep as may be: %v", err)
	}
	if d, err := Parse([]byte("\ufeffa = 1"), Max); err != nil || d.Values["a"] != int64(1) {
		t.Errorf("with a byte order mark: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a = 1\n[b]\nc = 'd'\n[[e]]\nf = [1, 2]\n"))
	f.Add([]byte("a.\"b\\u0041\" = \"\"\"\n[x]\n\"\"\"\nc = [{ d = '#' }, # e\n]\n[[e.f]]\n[[e.f]]\n[e.f.g]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data, Max)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || e.Line > 1+strings.Count(string(data), "\n")+strings.Count(string(data), "\r") {
				t.Errorf("%v", err)
			}
			return
		}
		escaped := strings.Contains(string(data), `\x`) || strings.Contains(string(data), `\e`) // which only TOML 1.1 has
		for _, k := range d.Keys {
			if n := d.Line(strings.Join(k, ".")); n < 1 || n > 1+strings.Count(string(data), "\n") {
				t.Errorf("%q is at line %d", k, n)
			}
			if _, known := d.lines[k[0]]; !known && !escaped {
				t.Errorf("%q has no line", k[0])
			}
		}
	})
}
