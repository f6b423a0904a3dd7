package dockerfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestUnset has what counts as a variable without value: only what a reached stage reads, and nothing that says itself what holds.
func TestUnset(t *testing.T) {
	known := func(Image) (*Config, error) { return &Config{Env: []string{"HOME=/root"}}, nil }
	for text, want := range map[string]string{
		"ARG V\nFROM alpine$V":                                               "V:2",
		"ARG V=\nFROM alpine$V":                                              "",
		"ARG V\nFROM alpine${V:-3}${V-4}${V:+5}${V+6}":                       "",
		"ARG V\nFROM alpine${V:-3}$V":                                        "V:2",
		"ARG V\nFROM alpine${V%x}":                                           "V:2",
		"ARG GIVEN\nFROM alpine$GIVEN$NEVER":                                 "NEVER:2",
		"FROM alpine$GIVEN":                                                  "GIVEN:1",
		"FROM --platform=linux/amd64$P alpine":                               "P:1",
		"FROM --platform=$BUILDPLATFORM alpine":                              "",
		"ARG V\nFROM alpine$V AS unreached\nFROM alpine":                     "",
		"ARG V\nFROM alpine$V AS one\nFROM one\nFROM one\nCOPY x$W /":        "W:5 V:2",
		"FROM alpine\nARG D\nARG GIVEN\nCOPY $D/a ${HOME}/b \\$E/c $GIVEN /": "D:4",
		"FROM alpine\nARG D\nADD $D/a /\nENV D=$D:x\nADD $D/a /":             "D:3",
		"FROM alpine\nARG D\nRUN echo $D\nENV X=$D\nLABEL a=$D":              "",
		"FROM alpine AS a\nARG D=1\nFROM a\nCOPY $D /":                       "",
		"ARG D=1\nFROM alpine\nARG D\nCOPY $D /":                             "",
		"ARG D=1\nFROM alpine\nCOPY $D /":                                    "D:3",
		"FROM alpine AS a\nCOPY $X /\nFROM scratch\nCOPY --from=a /y /":      "X:2",
	} {
		f, err := Parse("Dockerfile", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Reach(Options{Platform: Platform{OS: "linux", Architecture: "amd64"}, Args: map[string]string{"GIVEN": ""}, Config: known})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var got []string
		for _, u := range r.Unset {
			got = append(got, fmt.Sprintf("%s:%d", u.Name, u.Use.Line))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestUnset_unknown: what the environment of a base may have is not told, and what makes a name invalid is.
func TestUnset_unknown(t *testing.T) {
	ask := func(text string) (*Reach, error) {
		f, err := Parse("Dockerfile", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f.Reach(Options{Platform: Platform{OS: "linux", Architecture: "amd64"}})
	}
	if r, err := ask("FROM alpine\nCOPY $D /"); err != nil || len(r.Unset) > 0 {
		t.Errorf("%+v, %v", r.Unset, err)
	}
	if _, err := ask("ARG TAG\nFROM alpine:$TAG"); err == nil || !strings.Contains(err.Error(), "Dockerfile:2: the argument TAG has no value: ") {
		t.Error(err)
	}
}

func TestArguments(t *testing.T) {
	f, err := Parse("Dockerfile", []byte("ARG A\nARG B=1 C\nFROM scratch\nARG A=2\nARG D\nONBUILD ARG E F=3\nONBUILD RUN G=1\nFROM scratch\nARG D=4 H"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"A": true, "B": true, "C": false, "D": true, "E": false, "F": true, "H": false}
	if got := f.Arguments(); !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if f, err = Parse("Dockerfile", []byte("# syntax=example.org/x\nARG A\nFROM scratch")); err != nil || f.Arguments() != nil {
		t.Errorf("%v, %v", f.Arguments(), err)
	}
	names := []string{"http_proxy", "BUILDKIT_INLINE_CACHE", "TARGETARCH", "A", "PROXY"}
	if got := slices.DeleteFunc(names, Predefined); !slices.Equal(got, []string{"A", "PROXY"}) {
		t.Errorf("got %v", got)
	}
}
