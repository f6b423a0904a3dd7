package imagediff

import (
	"os"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/clrmeta"
)

// rot changes a byte in the middle of a file.
func rot(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestVerdict(t *testing.T) {
	mvid := clrmeta.Change{Field: clrmeta.MVID, A: "1", B: "2"}
	stamp := clrmeta.Change{Field: clrmeta.TimeStamp, A: "1", B: "2"}
	change := func(f clrmeta.Field, name, a, b string) clrmeta.Change {
		return clrmeta.Change{Field: f, Name: name, A: a, B: b}
	}
	tests := []struct {
		name, want, remedy string
		v                  verdict
		weight             int
	}{
		{
			"the revision", "x.dll differs only in its MVID and InformationalVersion 1.0.0+abc → 1.0.0+def", remedyRevision,
			verdict{changes: []clrmeta.Change{change(clrmeta.InformationalVersion, "", "1.0.0+abc", "1.0.0+def"), mvid, stamp}, deterministic: true},
			weightStamp,
		},
		{
			"the revision twice", "x.dll differs only in its MVID and InformationalVersion 1.0.0+abc → 1.0.0+def", remedyRevision + "; and " + remedySourceLink,
			verdict{
				changes: []clrmeta.Change{change(clrmeta.InformationalVersion, "", "1.0.0+abc", "1.0.0+def"), mvid},
				debug:   []clrmeta.PDBChange{{Kind: clrmeta.PDBSourceLink}}, deterministic: true,
			},
			weightStamp,
		},
		{
			"the version", "x.dll differs only in its MVID, InformationalVersion 1.0.0 → 1.1.0 and AssemblyVersion 1.0.0.0 → 1.1.0.0", remedyInformational,
			verdict{changes: []clrmeta.Change{change(clrmeta.InformationalVersion, "", "1.0.0", "1.1.0"), change(clrmeta.AssemblyVersion, "", "1.0.0.0", "1.1.0.0"), mvid}, deterministic: true},
			weightStamp,
		},
		{
			"a clock", "x.dll differs only in its MVID and FileVersion 1.0.1.2 → 1.0.1.3", remedyVersion,
			verdict{changes: []clrmeta.Change{change(clrmeta.FileVersion, "", "1.0.1.2", "1.0.1.3"), mvid}, deterministic: true},
			weightStamp,
		},
		{
			"paths", "x.dll differs only in its MVID and PDB path /a/x.pdb → /b/x.pdb", remedyPaths,
			verdict{changes: []clrmeta.Change{change(clrmeta.PDBPath, "", "/a/x.pdb", "/b/x.pdb"), mvid}, deterministic: true},
			weightStamp,
		},
		{"not deterministic", "x.dll differs only in its MVID", remedyDeterministic, verdict{changes: []clrmeta.Change{mvid, stamp}}, weightStamp},
		{"a consequence", "x.dll differs only in its MVID", "", verdict{changes: []clrmeta.Change{mvid, stamp}, deterministic: true}, weightFollows},
		{"without an MVID", "x.dll differs only in its PE time stamp", "", verdict{changes: []clrmeta.Change{stamp}, deterministic: true}, weightFollows},
		{
			"the link to sources", "x.dll differs only in its MVID and debug file's SourceLink (it names the revision)", remedySourceLink,
			verdict{changes: []clrmeta.Change{mvid}, debug: []clrmeta.PDBChange{{Kind: clrmeta.PDBSourceLink}}, deterministic: true},
			weightStamp,
		},
		{
			"a comment", "x.dll differs only in its MVID and debug file (the text of /_/x.cs changed)", "",
			verdict{changes: []clrmeta.Change{mvid}, debug: []clrmeta.PDBChange{{Kind: clrmeta.PDBSources, A: "/_/x.cs"}}, deterministic: true},
			weightFollows,
		},
		{
			"another library", "x.dll differs only in its MVID and references lib 1.0.0.0 → 1.1.0.0", "",
			verdict{changes: []clrmeta.Change{change(clrmeta.Reference, "lib", "1.0.0.0", "1.1.0.0"), mvid}, deterministic: true},
			weightStamp,
		},
		{
			"an attribute", "x.dll differs only in its MVID and AssemblyCompany sha256:", "",
			verdict{changes: []clrmeta.Change{change(clrmeta.Attribute, "System.Reflection.AssemblyCompanyAttribute", "hunter2", "hunter3"), mvid}, deterministic: true},
			weightStamp,
		},
		{
			"not proved", "x.dll differs in MVID and InformationalVersion 1+a → 1+b and possibly more", remedyRevision,
			verdict{changes: []clrmeta.Change{change(clrmeta.Other, "", "", ""), change(clrmeta.InformationalVersion, "", "1+a", "1+b"), mvid}, deterministic: true},
			weightContent,
		},
		{"nothing known", "x.dll changed (content)", "", verdict{changes: []clrmeta.Change{change(clrmeta.Other, "", "", "")}, deterministic: true}, weightContent},
		{
			"code", "x.dll is another program: it differs in the code of A.B, A.C, A.D and 1 more and text literals", "",
			verdict{changes: []clrmeta.Change{
				change(clrmeta.Code, "A.B", "", ""), change(clrmeta.Code, "A.C", "", ""), change(clrmeta.Code, "A.D", "", ""), change(clrmeta.Code, "A.E", "", ""),
				change(clrmeta.Literals, "", "", ""), mvid,
			}, deterministic: true},
			weightCode,
		},
		{
			"a hostile name", "x.dll is another program: it differs in the code of \"A\\x1b[2J\"", "",
			verdict{changes: []clrmeta.Change{change(clrmeta.Code, "A\x1b[2J", "", "")}, deterministic: true},
			weightCode,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.v.name = "x.dll"
			d := test.v.difference()
			if !strings.HasPrefix(d.Text, test.want) || strings.Contains(d.Text, "hunter") {
				t.Errorf("got %q, want %q", d.Text, test.want)
			}
			if d.Remedy != test.remedy || d.weight != test.weight {
				t.Errorf("remedy %q, weight %d; want %q, %d", d.Remedy, d.weight, test.remedy, test.weight)
			}
		})
	}
}

func TestHarmless(t *testing.T) {
	tests := []struct {
		name, value string
		want        bool
	}{
		{"org.opencontainers.image.revision", "abc", true},
		{"org.opencontainers.image.source", "https://example.com/shop", true},
		{"org.opencontainers.image.source", "https://user:password@example.com/shop", false},
		{"net.dot.sdk.version", "10.0.401", true},
		{"team", "blue", false},
		{"org.opencontainers.imagefoo", "x", false},
	}
	for _, test := range tests {
		if got := harmless(test.name, test.value); got != test.want {
			t.Errorf("%s=%s: got %v", test.name, test.value, got)
		}
	}
}
