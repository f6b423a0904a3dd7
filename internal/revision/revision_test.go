package revision

import (
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/clrmeta"
	"github.com/gantry-build/gantry/internal/imagediff"
	"github.com/gantry-build/gantry/internal/outcome"
)

func TestOnly(t *testing.T) {
	version := func(a, b string) imagediff.AssemblyField {
		return imagediff.AssemblyField{Field: string(clrmeta.InformationalVersion), A: a, B: b}
	}
	assembly := func(proved bool, fields ...imagediff.AssemblyField) imagediff.Difference {
		return imagediff.Difference{Part: imagediff.PartFiles, Kind: imagediff.Changed, Text: "words", Proved: proved, Fields: fields}
	}
	mvid := imagediff.AssemblyField{Field: string(clrmeta.MVID)}
	stamped := assembly(true, version("1+a", "1+b"), mvid)
	tests := []struct {
		name string
		list []imagediff.Difference
		want string
	}{
		{"revision", []imagediff.Difference{stamped}, "words"},
		{"what follows", []imagediff.Difference{stamped, {Part: imagediff.PartLayers, Consequence: true}}, "words"},
		{"its label", []imagediff.Difference{stamped, {Part: imagediff.PartConfig, Kind: imagediff.Changed, Name: label}}, "words"},
		{"not proved", []imagediff.Difference{assembly(false, version("1+a", "1+b"))}, ""},
		{"another version", []imagediff.Difference{assembly(true, version("1+a", "2+b"))}, ""},
		{"no revision", []imagediff.Difference{assembly(true, version("1", "2"))}, ""},
		{"code", []imagediff.Difference{assembly(true, version("1+a", "1+b"), imagediff.AssemblyField{Field: string(clrmeta.Code)})}, ""},
		{"a file beside", []imagediff.Difference{stamped, {Part: imagediff.PartFiles, Kind: imagediff.Changed, Name: "a.txt"}}, ""},
		{"a file more", []imagediff.Difference{stamped, {Part: imagediff.PartFiles, Kind: imagediff.Added, Name: "a.dll", Proved: true}}, ""},
		{"a label beside", []imagediff.Difference{stamped, {Part: imagediff.PartConfig, Kind: imagediff.Changed, Name: "other"}}, ""},
		{"label alone", []imagediff.Difference{{Part: imagediff.PartConfig, Kind: imagediff.Changed, Name: label}}, ""},
		{"nothing", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			one := &imagediff.Report{Differences: tt.list}
			if got := only(one); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			several := &imagediff.Report{Platforms: []*imagediff.Report{{Differences: []imagediff.Difference{stamped}}, one}}
			if got := only(several); got != tt.want {
				t.Errorf("two platforms: got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestMessage_withoutTheImages has a store that lacks them: nothing is proved, and nothing is asked.
func TestMessage_withoutTheImages(t *testing.T) {
	a, b := cas.DigestOf([]byte("a")), cas.DigestOf([]byte("b"))
	r := outcome.Result{Pushed: true, Reference: "localhost:1/app", Digest: b, Tags: []outcome.Tag{{Tag: "1", State: outcome.Moved, Was: a}}}
	if got := Message(t.Context(), cas.Open(t.TempDir()), r); got != "" {
		t.Errorf("got %q", got)
	}
}
