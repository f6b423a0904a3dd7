package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func example() Chart {
	return Chart{
		Title: "Time & bytes", About: "medians of <5> rounds",
		Panels: []Panel{
			{
				X:     Axis{Label: "changed, bytes", Log: true, Format: Bytes},
				Y:     Axis{Label: "seconds", Format: Seconds},
				Marks: []Mark{{0, "nothing"}, {30e3, "one line"}, {160e6, "all"}},
				Series: []Series{
					{Name: "SDK", Points: []Point{{0, 3.2, "3.2 s"}, {30e3, 3.2, "3.2 s"}, {160e6, 3.3, "3.3 s"}}},
					{Name: "Gantry", Color: 1, Dashed: true, Points: []Point{{0, 0.06, "60 ms"}, {30e3, 0.3, ""}, {160e6, 3.25, "3.3 s"}}},
				},
			},
			{
				X:         Axis{Label: "size, MB", Format: Bytes},
				Y:         Axis{Label: "seconds", Format: Seconds},
				EndLabels: true,
				Series: []Series{
					{Name: "SDK", Points: []Point{{13e6, 0.45, "x"}, {160e6, 3.2, "3.2 s"}}},
					{Name: "Gantry", Color: 1, Points: []Point{{13e6, 0.06, "x"}, {160e6, 0.08, "80 ms"}}},
				},
			},
		},
	}
}

func TestSVG_golden(t *testing.T) {
	got := example().SVG()
	file := filepath.Join("testdata", "example.svg")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is written now: look at it and run with -update\n%s", file, got)
	}
	decoder := xml.NewDecoder(strings.NewReader(got))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
}

func TestSVG_withoutValues(t *testing.T) {
	for _, c := range []Chart{{}, {Panels: []Panel{{X: Axis{Format: Bytes}, Y: Axis{Format: Seconds, Log: true}, Series: []Series{{Name: "none"}}}}}} {
		if svg := c.SVG(); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("a chart without values has no numbers to show\n%s", svg)
		}
	}
}

func TestScale(t *testing.T) {
	tests := []struct {
		name   string
		axis   Axis
		values []float64
		ticks  []float64
		at     map[float64]float64 // on an axis of 100 pixels
	}{
		{"seconds", Axis{}, []float64{3.2, 0.06}, []float64{0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4}, map[float64]float64{0: 0, 4: 100, 2: 50}},
		{"room above the highest", Axis{}, []float64{4}, []float64{0, 1, 2, 3, 4, 5}, map[float64]float64{4: 80}},
		{"nothing but zero", Axis{}, []float64{0}, []float64{0, 0.2, 0.4, 0.6, 0.8, 1, 1.2}, map[float64]float64{0: 0}},
		{"powers of ten", Axis{Log: true}, []float64{0, 20, 900}, []float64{0, 10, 100, 1000}, map[float64]float64{0: 40 / 3.4, 10: 140 / 3.4, 1000: 100}},
		{"one power of ten", Axis{Log: true}, []float64{10}, []float64{0, 10, 100}, map[float64]float64{0: 40 / 2.4, 10: 140 / 2.4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newScale(tt.axis, tt.values, 0, 100)
			if !slices.EqualFunc(s.ticks, tt.ticks, near) {
				t.Errorf("ticks: got %v, want %v", s.ticks, tt.ticks)
			}
			for v, want := range tt.at {
				if got := s.at(v); !near(got, want) {
					t.Errorf("at %v: got %v, want %v", v, got, want)
				}
			}
		})
	}
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

func TestUnits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.0583: "58 ms", 0.9996: "1 s", 3.24: "3.2 s", 12: "12 s", -0.004: "-4 ms"} {
		if got := Seconds(v); got != want {
			t.Errorf("%v seconds: got %q, want %q", v, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 999: "999 B", 1e3: "1 kB", 57049: "57 kB", 999.9e3: "1 MB", 8.44e6: "8.4 MB", 71.8e6: "72 MB", 2.5e9: "2.5 GB"} {
		if got := Bytes(v); got != want {
			t.Errorf("%v bytes: got %q, want %q", v, got, want)
		}
	}
}
