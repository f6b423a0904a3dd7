package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/tools/bench/results"
)

// The test binary stands for the bench where that starts itself.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == "exec":
		os.Exit(execMain(os.Args[2:]))
	case os.Getenv(peakTool) != "":
		os.Exit(peakMain(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func TestSelected(t *testing.T) {
	needed := []string{"-package", "feed", "-version", "1"}
	tests := []struct {
		args []string
		want map[string]int // measurements of a round by app
	}{
		{nil, map[string]int{"2 MB": 2, "13 MB": 12, "110 MB": 2, "160 MB": 10, "2 RIDs": 2, "2 projects": 2, "20 projects": 1}},
		{[]string{"-latency", "0"}, map[string]int{"2 MB": 2, "13 MB": 8, "110 MB": 2, "160 MB": 8, "2 RIDs": 2, "2 projects": 2, "20 projects": 1}},
		{[]string{"-cases", "^160 mb/(cold|one line changed)/0$"}, map[string]int{"160 MB": 2}},
		{[]string{"-cases", "/30$"}, map[string]int{"13 MB": 2, "160 MB": 1}},
		{[]string{"-cases", "no such case"}, map[string]int{}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			o, err := parse(append(tt.args, needed...))
			if err != nil {
				t.Fatal(err)
			}
			b := &bench{options: o}
			got := map[string]int{}
			for _, a := range b.selected() {
				for _, m := range a.cases {
					for i := range m.times {
						got[a.name] += len(b.latenciesOf(a, m, i))
					}
				}
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParse_refuses(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"-package", "feed"},
		{"-package", "feed", "-version", "1", "-rounds", "0"},
		{"-package", "feed", "-version", "1", "-cases", "("},
		{"-package", "feed", "-version", "1", "-latency", "0,fast"},
		{"-package", "feed", "-version", "1", "-latency", "-1"},
		{"-package", "feed", "-version", "1", "more"},
		{"-package", "feed", "-version", "1", "-graph", "gantry"},
		{"-graph", "gantry", "-rounds", "0"},
	} {
		if o, err := parse(args); err == nil {
			t.Errorf("%q: got %+v, want an error", args, o)
		}
	}
}

// Every app's cases are in an order that works: cold, if at all, comes first, and what a fresh runner finds comes last.
func TestApps_order(t *testing.T) {
	for _, a := range apps() {
		for i, m := range a.cases {
			if m.situation == results.Cold && i > 0 || m.situation == results.Fresh && i < len(a.cases)-1 {
				t.Errorf("%s: case %d is %s", a.name, i, m.situation)
			}
			if m.situation == results.Content && a.data == 0 {
				t.Errorf("%s has no data file to change", a.name)
			}
			if m.situation == results.OnePackage && !slices.Contains(a.packages, pkg{changedPackage, versionCold}) {
				t.Errorf("%s has no package to change", a.name)
			}
		}
	}
}

// A process that outlives the command is waited for: its processor time counts, and it does not run into the next measurement.
func TestMeasured_waitsForOrphans(t *testing.T) {
	file := filepath.Join(t.TempDir(), "late")
	u, err := measured(t.Context(), t.TempDir(), os.Environ(), "sh", "-c", "(sleep 0.2; echo done > '"+file+"') >/dev/null 2>&1 &")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil || u.Seconds <= 0 || u.CPUSeconds <= 0 {
		t.Errorf("got %+v, %v: want the orphan's file, and times", u, err)
	}
}

func TestMeasured_failure(t *testing.T) {
	_, err := measured(t.Context(), t.TempDir(), os.Environ(), "sh", "-c", "echo what went wrong; exit 3")
	if err == nil || !strings.Contains(err.Error(), "sh -c") || !strings.Contains(err.Error(), "\nwhat went wrong\n") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the command, its output and its exit code", err)
	}
}

func TestPeak(t *testing.T) {
	file := filepath.Join(t.TempDir(), "peaks")
	env := append(os.Environ(), peakTool+"=/bin/sh", peakFile+"="+file)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := measured(t.Context(), t.TempDir(), env, self, "-c", "true"); err != nil {
		t.Fatal(err)
	}
	if _, err := measured(t.Context(), t.TempDir(), env, self, "-c", "exit 7"); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("got %v, want the tool's exit code", err)
	}
	peaks, err := readPeaks(file)
	if err != nil || len(peaks) != 1 || peaks["-c"] < 100<<10 {
		t.Errorf("got %v, %v: want the size of one program", peaks, err)
	}
	if peaks, err = readPeaks(file); err != nil || len(peaks) != 0 {
		t.Errorf("read again: got %v, %v, want none", peaks, err)
	}
}

func TestChanged(t *testing.T) {
	s := &session{dir: t.TempDir()}
	write := func(name, text string) {
		t.Helper()
		if err := writeFile(filepath.Join(s.dir, "bin", "Release", "net10.0", "publish", name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "12345")
	write("sub/b", "123")
	for i, step := range []struct {
		do          func()
		change, all int64
	}{
		{func() {}, 8, 8},
		{func() { write("a", "12345") }, 0, 8},
		{func() { write("a", "54321") }, 5, 8},
		{func() { write("sub/c", "1") }, 1, 9},
	} {
		step.do()
		change, all, err := s.changed()
		if err != nil || change != step.change || all != step.all {
			t.Errorf("step %d: got %d of %d, %v; want %d of %d", i, change, all, err, step.change, step.all)
		}
	}
}

func TestCheck(t *testing.T) {
	one, two := []image{{digest: "sha256:1"}}, []image{{digest: "sha256:2"}}
	uploaded := results.Sample{Traffic: results.Traffic{BlobsUploaded: 1}}
	tests := []struct {
		tool, situation string
		before, after   []image
		sample          results.Sample
		ok              bool
	}{
		{results.Gantry, results.Unchanged, one, one, results.Sample{}, true},
		{results.Gantry, results.Unchanged, one, one, uploaded, false},
		{results.Gantry, results.Fresh, one, two, results.Sample{}, false},
		{results.SDK, results.Unchanged, one, two, uploaded, true},
		{results.SDK, results.OneLine, one, one, uploaded, false},
		{results.Gantry, results.OneLine, one, two, uploaded, true},
		{results.Gantry, results.Cold, nil, one, uploaded, true},
	}
	for _, tt := range tests {
		s := &session{tool: tt.tool, images: tt.after}
		if err := s.check(tt.situation, tt.before, tt.sample); (err == nil) != tt.ok {
			t.Errorf("%s, %s: got %v", tt.tool, tt.situation, err)
		}
	}
}
