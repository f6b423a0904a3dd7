package upkeep

import (
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "1B": 1, "10GB": 10e9, "10gb": 10e9, "1.5 GB": 15e8, "500MiB": 500 << 20, "2kB": 2000, "2KiB": 2048, "3TB": 3e12, "1TiB": 1 << 40,
		"": -1, "GB": -1, "-1": -1, "1,5GB": -1, "10G": -1, "1e9": -1, "10GB ": -1, ".5GB": -1, "99999999TB": -1, "10GB\n": -1, "0x10": -1, "NaN": -1,
	} {
		got, err := ParseSize(text)
		if err != nil {
			got = -1
		}
		if got != want || err != nil && diag.CodeOf(err) != diag.BadUsage {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestParseAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": 30 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "12h": 12 * time.Hour, "90m": 90 * time.Minute, "1.5 D": 36 * time.Hour, "0d": 0,
		"": -1, "30": -1, "d": -1, "-1d": -1, "1y": -1, "1d12h": -1, "999999999w": -1, "1d\n": -1,
	} {
		got, err := ParseAge(text)
		if err != nil {
			got = -1
		}
		if got != want || err != nil && diag.CodeOf(err) != diag.BadUsage {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestLimitsFrom(t *testing.T) {
	for _, tc := range []struct {
		size, age string
		want      Limits
		bad       bool
	}{
		{"", "", DefaultLimits(), false},
		{"1GB", "1d", Limits{1e9, day}, false},
		{"1 egg", "1d", Limits{10e9, day}, true},
		{"1GB", "1", Limits{1e9, 30 * day}, true},
	} {
		got, err := LimitsFrom(func(name string) string { return map[string]string{EnvMaxSize: tc.size, EnvMaxAge: tc.age}[name] })
		if got != tc.want || (err != nil) != tc.bad || tc.bad && diag.CodeOf(err) != diag.BadUsage {
			t.Errorf("%q, %q: got %v, %v", tc.size, tc.age, got, err)
		}
	}
}

func FuzzLimits(f *testing.F) {
	for _, seed := range []string{"10GB", "30d", "1.5TiB", "1e999", "٣d", "9223372036854775807"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := ParseSize(text); n < 0 || err != nil && diag.CodeOf(err) != diag.BadUsage {
			t.Errorf("%q: %d, %v", text, n, err)
		}
		if d, err := ParseAge(text); d < 0 || err != nil && diag.CodeOf(err) != diag.BadUsage {
			t.Errorf("%q: %s, %v", text, d, err)
		}
	})
}
