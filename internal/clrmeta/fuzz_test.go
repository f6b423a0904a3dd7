package clrmeta

import (
	"bytes"
	"slices"
	"testing"
)

// The files of testdata are a class library of .NET SDK 10, compiled with a path map: no machine is named in them.
func seed(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := readFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func FuzzParse(f *testing.F) {
	tiny := seed(f, "tiny.dll")
	f.Add(tiny)
	f.Add(tiny[:2048])
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Parse(data)
		if err != nil {
			return
		}
		b := mustParseSeed(t, tiny)
		changes := Compare(a, b)
		if equal := bytes.Equal(data, tiny); equal != (len(changes) == 0) {
			t.Errorf("equal: %v, %d changes", equal, len(changes))
		}
		if back := Compare(b, a); len(back) != len(changes) {
			t.Errorf("%d changes, the other way round %d", len(changes), len(back))
		}
		if again := Compare(a, mustParseSeed(t, slices.Clone(data))); len(again) > 0 {
			t.Errorf("it differs from itself: %v", again)
		}
	})
}

func mustParseSeed(t *testing.T, data []byte) *Assembly {
	t.Helper()
	a, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func FuzzParsePDB(f *testing.F) {
	tiny := seed(f, "tiny.pdb")
	f.Add(tiny)
	f.Add([]byte("BSJB"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePDB(data)
		if err != nil {
			return
		}
		if got := ComparePDB(p, p); len(got) > 0 {
			t.Errorf("it differs from itself: %v", got)
		}
	})
}
