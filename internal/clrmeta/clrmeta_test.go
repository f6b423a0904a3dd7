package clrmeta

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
)

func readFile(name string) ([]byte, error) { return os.ReadFile(name) }

// TestParse_values reads what is known of the file in testdata.
func TestParse_values(t *testing.T) {
	a := mustParseSeed(t, seed(t, "tiny.dll"))
	if !a.Deterministic || a.inexact != nil {
		t.Errorf("deterministic %v, inexact %v", a.Deterministic, a.inexact)
	}
	for _, want := range []value{
		{AssemblyVersion, "", "1.0.0.0"},
		{FileVersion, "", "1.0.0.0"},
		{InformationalVersion, "", "1.0.0+abcdef"},
		{Reference, "System.Runtime", "10.0.0.0"},
		{PDBPath, "", "/_/obj/Release/net10.0/lib.pdb"},
		{Attribute, "System.Reflection.AssemblyCompanyAttribute", "lib"},
		{Win32Version, "ProductVersion", "1.0.0+abcdef"},
		{Win32Version, "file version number", "1.0.0.0"},
	} {
		if !slices.Contains(a.values, want) {
			t.Errorf("%+v is not in %+v", want, a.values)
		}
	}
}

func TestParse_refuses(t *testing.T) {
	tiny := seed(t, "tiny.dll")
	noCLI := bytes.Clone(tiny)
	clear(noCLI[at(tiny, 0x3c).u32()+24+96+14*8:][:8])
	for name, data := range map[string][]byte{
		"nothing": nil, "text": bytes.Repeat([]byte("text "), 100), "an old program": append([]byte("MZ"), make([]byte, 200)...),
		"a native library": noCLI,
	} {
		if _, err := Parse(data); !errors.Is(err, ErrNotAssembly) {
			t.Errorf("%s: got %v, want ErrNotAssembly", name, err)
		}
	}
	for _, n := range []int{300, 600, 1024, 1500} {
		if _, err := Parse(tiny[:n]); err == nil {
			t.Errorf("cut off after %d bytes: no error", n)
		}
	}
}

// TestCompare_everyByte changes each byte: whatever is called complete must not be hidden in a stamp that it is not in.
func TestCompare_everyByte(t *testing.T) {
	checkBytes(t, seed(t, "tiny.dll"))
}

// TestCompare_otherForm holds files that cannot be taken apart to a comparison byte by byte.
func TestCompare_otherForm(t *testing.T) {
	a, b := mustParseSeed(t, seed(t, "tiny.dll")), mustParseSeed(t, seed(t, "tiny.dll"))
	a.inexact = errors.New("a form of its own")
	b.pe.data = bytes.Clone(b.pe.data)
	b.pe.data[a.masks[0].start] ^= 1
	b.values = slices.Clone(b.values)
	b.values[0].text = "another"
	if got := Compare(a, b); len(got) != 1 || got[0].Field != TimeStamp {
		t.Errorf("a masked byte: got %+v, want the time stamp alone", got)
	}
	b.pe.data[len(b.pe.data)-1] ^= 1
	if got := Compare(a, b); !slices.ContainsFunc(got, func(c Change) bool { return c.Field == Other }) {
		t.Errorf("a byte without a name: got %+v, want other", got)
	}
}

// TestAssembly_add keeps two values of one name apart: some files have two version resources.
func TestAssembly_add(t *testing.T) {
	x, y := &Assembly{names: map[valueKey]int{}}, &Assembly{names: map[valueKey]int{}}
	for _, a := range []*Assembly{x, y} {
		a.add(Win32Version, "ProductVersion", "1")
		a.add(Win32Version, "ProductVersion", "2")
	}
	if got := compareValues(x, y); len(got) > 0 {
		t.Errorf("got %v, want no change", got)
	}
}

func TestComparePDB(t *testing.T) {
	tests := []struct {
		name string
		a, b PDB
		want string
	}{
		{"equal", PDB{}, PDB{}, ""},
		{"moved", PDB{Documents: map[string]string{"/a/x.cs": "1"}}, PDB{Documents: map[string]string{"/b/x.cs": "1"}}, PDBPaths},
		{"edited", PDB{Documents: map[string]string{"/a/x.cs": "1"}}, PDB{Documents: map[string]string{"/a/x.cs": "2"}}, PDBSources},
		{"another file", PDB{Documents: map[string]string{"/a/x.cs": "1"}}, PDB{Documents: map[string]string{"/a/y.cs": "1"}}, ""},
		{"revision", PDB{SourceLink: "{}"}, PDB{SourceLink: "{1}"}, PDBSourceLink},
	}
	for _, test := range tests {
		got := ""
		for _, c := range ComparePDB(&test.a, &test.b) {
			got += c.Kind
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestParsePDB(t *testing.T) {
	p, err := ParsePDB(seed(t, "tiny.pdb"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Documents["/_/Price.cs"] == "" {
		t.Errorf("got %v, want /_/Price.cs", p.Documents)
	}
}
