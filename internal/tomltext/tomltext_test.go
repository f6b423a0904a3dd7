package tomltext

import (
	"errors"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	d, err := Parse([]byte("top = 1\r\na.b = 2\n# a.c = 3\n[ t ] # a table\nx = 4\n  \"y\" = 5\n[[l]]\nx = 6\n[[l]]\nz = 0\nx = 7\n[inline]\nv = {w = 8}\n"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		n    int
		path string
		want int
	}{
		{0, "top", 1},
		{0, "a.b", 2},
		{0, "t", 4},
		{0, "t.x", 5},
		{0, "t.y", 6},
		{0, "l.x", 8},
		{1, "l.x", 11},
		{0, "inline.v", 13},
	}
	for _, test := range tests {
		if got := d.Line(test.n, strings.Split(test.path, ".")...); got != test.want {
			t.Errorf("%s %d: got line %d, want %d", test.path, test.n, got, test.want)
		}
	}
}

func TestParse_errors(t *testing.T) {
	for text, want := range map[string]int{"a = 1\n\nb\n": 3, "a = 1\na = 2\n": 2, "\xff": 1, "a = 1\n\n\xc3\x28": 3, "x = '": 1} {
		_, err := Parse([]byte(text))
		var e *Error
		if !errors.As(err, &e) || e.Line != want || e.Text == "" {
			t.Errorf("%q: got %v, want line %d", text, err, want)
		}
	}
	if _, err := Parse(make([]byte, Max+1)); err == nil {
		t.Error("a document larger than Max is read")
	}
	if d, err := Parse([]byte("\ufeffa = 1")); err != nil || d.Values["a"] != int64(1) {
		t.Errorf("with a byte order mark: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a = 1\n[b]\nc = 'd'\n[[e]]\nf = [1, 2]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || e.Line > 1+strings.Count(string(data), "\n")+strings.Count(string(data), "\r") {
				t.Errorf("%v", err)
			}
			return
		}
		for _, k := range d.Keys {
			if n := d.Line(0, k...); n < 1 || n > len(d.lines) {
				t.Errorf("%q is at line %d of %d", k, n, len(d.lines))
			}
		}
	})
}
