package imagelist

import (
	"maps"
	"strings"
	"testing"
)

// TestDotenv has the examples of Docker's page on the syntax of environment files, and what is none.
func TestDotenv(t *testing.T) {
	getenv := func(name string) (string, bool) { return "of the environment", name == "OUTER" }
	got, err := parseDotenv("# VAR='x\n\nA=VAL\r\nB=\"VAL\"\nC='VAL'\nD=VAL # comment\nE=VAL# no comment\nF=\"VAL # no comment\"\nG=\"VAL\" # comment\n"+
		"H='$A'\nI='${A}'\nJ='Let\\'s go!'\nK=\"{\\\"hello\\\": \\\"json\\\"}\"\nL=\"some\\tvalue\"\nM='some\\tvalue'\nN=some\\tvalue\n"+
		"O=${A}-$B-${NONE:-d}-${NONE}\nP=\"${A:+alt}\"\nexport Q = spaced \nR: yaml\nS=\nALONE\nT=\"two\nlines\"\nU='a\n\nb' # c\nV=${OUTER}\nOUTER=x\nW=$OUTER\nX=\"\\$A\"\n_y.1=z", getenv)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"A": "VAL", "B": "VAL", "C": "VAL", "D": "VAL", "E": "VAL# no comment", "F": "VAL # no comment", "G": "VAL", "H": "$A", "I": "${A}",
		"J": "Let's go!", "K": `{"hello": "json"}`, "L": "some\tvalue", "M": `some\tvalue`, "N": `some\tvalue`, "O": "VAL-VAL-d-", "P": "alt",
		"Q": "spaced", "R": "yaml", "S": "", "T": "two\nlines", "U": "a\n\nb", "V": "of the environment", "OUTER": "x", "W": "of the environment",
		"X": "$A", "_y.1": "z",
	}
	if !maps.Equal(got, want) {
		for k, v := range got {
			if want[k] != v {
				t.Errorf("%s: got %q, want %q", k, v, want[k])
			}
		}
		t.Errorf("got %d values, want %d", len(got), len(want))
	}
	for text, want := range map[string]string{
		"A=1\nB C=2": "line 2: it is not NAME=VALUE", "=1": "line 1", "A='x": "the quote is not closed", "A=\"x\ny\"\nB='x' y": "line 3: there is text behind",
		"A=${B?no B}": "line 1: the variable B has to be set: no B", "A=${": "no } behind",
	} {
		if _, err := parseDotenv(text, getenv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
