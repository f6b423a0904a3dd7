package cachekey

import (
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

func TestTag(t *testing.T) {
	hashed := func(key string) string { return "content-" + cas.DigestOf([]byte(key)).Hex() }
	longest := strings.Repeat("k", 128-len("content-"))
	odd := "feature/x\n" + "äb c/"
	for _, tc := range []struct {
		key  string
		hash bool
		want string
		err  string
	}{
		{"abc", false, "content-abc", ""},
		{"abc", true, "content-abc", ""},
		{"-a._Z9", false, "content--a._Z9", ""},
		{longest, false, "content-" + longest, ""},
		{longest + "k", false, hashed(longest + "k"), ""},
		{longest + "k", true, hashed(longest + "k"), ""},
		{"a/b", false, "", `'/'; `},
		{odd, false, "", `'/' '\n' 'ä' ' '; `},
		{odd, true, hashed(odd), ""},
		{longest + "/", false, "", `'/'; `},
		{"\xff", false, "", `'�'; `},
		{"!\"#$%&'()*+,", false, "", "…; "},
		{"", false, "", "is empty"},
		{"", true, "", "is empty"},
	} {
		got, err := Tag(tc.key, tc.hash)
		if got != tc.want || (err != nil) != (tc.err != "") {
			t.Errorf("Tag(%q, %v): got %q, %v; want %q", tc.key, tc.hash, got, err, tc.want)
		}
		if err != nil && (diag.CodeOf(err) != diag.InvalidCacheKey || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("Tag(%q, %v): got %v, want %s with %q", tc.key, tc.hash, err, diag.InvalidCacheKey, tc.err)
		}
	}
}

// Every key gives a tag that registries take, or an error that a person can act on; and never the tag of another.
func FuzzTag(f *testing.F) {
	for _, s := range []string{"", "a", "a/b", "ä", "\x00", "\xff", strings.Repeat("x", 200)} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, key string, hash bool) {
		tag, err := Tag(key, hash)
		if err != nil {
			if diag.CodeOf(err) != diag.InvalidCacheKey || tag != "" {
				t.Fatalf("%q, %v", tag, err)
			}
			return
		}
		if err := registry.ParseTag(tag); err != nil {
			t.Fatal(err)
		}
		if tag != "content-"+key && tag != "content-"+cas.DigestOf([]byte(key)).Hex() {
			t.Fatalf("%q has the tag %q", key, tag)
		}
	})
}
