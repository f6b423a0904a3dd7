package results

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// example has each goal's case, some reached and some not, one case without a publish to compare with, and one with one tool alone.
func example() *Document {
	d := &Document{
		Rounds: 2,
		Machine: Machine{
			Cores: 2, Processor: "a processor", Platform: "linux/amd64", DotnetSDK: "10.0.401", Base: "base of 5 layers with .NET 10.0.12",
			GantryStartMilliseconds: 2.94,
		},
		Apps: []App{
			{Name: Small, About: "web app with packages", Bytes: 13e6},
			{Name: Large, About: "self-contained web app", Bytes: 161e6},
			{Name: Twenty, About: "a solution"},
		},
		Limits: &Limits{App: Large, Bytes: 161e6, HashSeconds: 0.4, CompressSeconds: 1.25, CompressedBytes: 71.8e6, UploadSeconds: 0.2},
		Peaks: []Peak{
			{Key{App: Large, Situation: Unchanged}, map[string]int64{"scan": 20 << 20, "push": 31 << 20}},
			{Key{App: Large, Situation: Cold}, map[string]int64{"create-layers": 300 << 20}},
		},
	}
	add := func(app, situation string, latency int, change int64, sdk, gantry Sample) {
		key := Key{App: app, Situation: situation, Latency: latency}
		for round := range 2 {
			sdk.Round, gantry.Round = round, round
			d.Add(key, SDK, sdk)
			d.Add(key, Gantry, gantry)
			sdk.Seconds, gantry.Seconds = sdk.Seconds+0.2, gantry.Seconds+0.02
		}
		d.Case(key).ChangeBytes = change
	}
	sample := func(seconds, plain float64, requests int, up int64) Sample {
		return Sample{
			Seconds: seconds, PlainSeconds: plain, CPUSeconds: seconds * 1.5, PlainCPUSeconds: plain * 1.5,
			Traffic: Traffic{Requests: requests, BytesUp: up, BytesDown: 1000, BlobsUploaded: requests / 5, LayerBytes: up, LayersMade: -1},
		}
	}
	// the last app first: the order is that of the apps
	add(Twenty, Unchanged, 0, -1, sample(14, 8, 400, 2e6), sample(8.9, 8, 22, 0))
	add(Small, Unchanged, 0, 0, sample(1.2, 0.75, 19, 5e6), sample(0.8, 0.75, 2, 0))
	add(Small, Unchanged, 30, 0, sample(1.9, 0.75, 19, 5e6), sample(0.9, 0.75, 2, 0))
	add(Large, Cold, 0, 161e6, sample(7, 3.5, 23, 71.8e6), sample(4.5, 3.5, 19, 74.2e6))
	add(Large, Unchanged, 0, 0, sample(4.2, 1, 19, 71.8e6), sample(1.1, 1, 2, 0))
	add(Large, OneLine, 0, 24e3, sample(5.4, 2.2, 19, 71.8e6), sample(2.4, 2.2, 8, 50e3))
	add(Large, OnePackage, 0, 712e3, sample(5.4, 2.2, 19, 71.8e6), sample(2.5, 2.2, 9, 600e3))
	add(Large, Content, 0, 4e6, sample(4.2, 1, 19, 71.8e6), sample(1.4, 1, 9, 3e6))
	add(Large, BaseMoved, 0, 0, sample(4.2, 0, 19, 71.8e6), sample(1.4, 0, 9, 3e6))
	d.Add(Key{App: Large, Situation: Fresh}, Gantry, sample(1.3, 1, 3, 0))
	d.Graph = exampleGraph()
	return d
}

// exampleGraph has one shape in all states and the other in two.
func exampleGraph() *Graph {
	g := &Graph{Machine: Machine{Cores: 2, Processor: "a processor", Platform: "linux/amd64"}, Rounds: 2, Latency: 5, Images: 12800, Bases: 39, Outside: 4, Files: 3410, Bytes: 21e6}
	for k, s := range graphStates {
		for round := range 2 {
			g.Add(ByTool, s.name, k*100, GraphSample{
				Seconds: 0.8 + float64(k+round)/10, CPUSeconds: 1.2, PeakBytes: 180e6 + int64(k)*30e6, Questions: 123, Records: k * 400, Digests: 8, AtOnce: 64 + k/4,
			})
		}
	}
	for k, state := range []string{GraphCold, GraphWarm} {
		g.Add(OneEach, state, 0, GraphSample{Seconds: 3 - float64(k)/10, CPUSeconds: 2, PeakBytes: 200e6, Questions: 12843 + k, AtOnce: 64})
	}
	return g
}

// A part that is not measured stays in the results.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	d, err := Read(dir)
	if err != nil || d.Graph != nil || len(d.Cases) > 0 {
		t.Fatalf("of an empty folder: %+v, %v", d, err)
	}
	if err := example().Write(dir); err != nil {
		t.Fatal(err)
	}
	if d, err = Read(dir); err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	if err := d.Write(again); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"results.json", "results.md", "summary.md"} {
		was, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if now, err := os.ReadFile(filepath.Join(again, name)); err != nil || string(now) != string(was) {
			t.Errorf("%s is another one when it is read and written: %v", name, err)
		}
	}
}

func TestWrite_golden(t *testing.T) {
	golden := "testdata"
	if *update {
		if err := example().Write(golden); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := example().Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"results.json", "results.md", "summary.md", "change.svg", "size.svg"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what is written now: look at it and run with -update\n%s", name, got)
		}
	}
}

func TestWrite_nothingMeasured(t *testing.T) {
	d := &Document{}
	dir := t.TempDir()
	if err := d.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "results.md"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(text), "not measured"); got != len(goals) {
		t.Errorf("goals without a number: got %d, want %d\n%s", got, len(goals), text)
	}
}

func TestOutcomes(t *testing.T) {
	want := map[string]bool{ // by limit and text: what of the example is reached
		goals[0].about: true, goals[1].about: false, goals[2].about: true, goals[8].about: true, goals[13].about: false,
	}
	for _, o := range example().outcomes() {
		if w, ok := want[o.about]; ok && (!o.measured || o.reached() != w) {
			t.Errorf("%s: got %v (measured %v, reached %v), want reached %v", o.about, o.gantry, o.measured, o.reached(), w)
		}
	}
}

func TestQuantile(t *testing.T) {
	tests := []struct {
		all     []float64
		q, want float64
	}{
		{[]float64{3}, 0.5, 3},
		{[]float64{5, 1, 3}, 0.5, 3},
		{[]float64{4, 1, 2, 3}, 0.5, 2.5},
		{[]float64{4, 1, 2, 3}, 0.25, 1.75},
		{[]float64{4, 1, 2, 3}, 1, 4},
	}
	for _, tt := range tests {
		if got := quantile(tt.all, tt.q); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("quantile %v of %v: got %v, want %v", tt.q, tt.all, got, tt.want)
		}
	}
}

// The container part is the median of the differences, not the difference of medians: a slow round weighs on both.
func TestAdd_containerPartIsOfPairs(t *testing.T) {
	d, key := &Document{}, Key{App: Small, Situation: Unchanged}
	for _, s := range []Sample{{Seconds: 2, PlainSeconds: 1.9}, {Seconds: 1.1, PlainSeconds: 1}, {Seconds: 5, PlainSeconds: 1}} {
		d.Add(key, Gantry, s)
	}
	got := d.Case(key).Gantry
	if got.Median.ContainerSeconds != 0.1 || got.Median.Seconds != 2 || got.ContainerSpread != [2]float64{0.1, 2.05} {
		t.Errorf("got %+v", got)
	}
}

func TestText(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
	for _, tt := range []struct {
		sdk, gantry float64
		want        string
	}{{3.2, 0.08, "40.0"}, {1, 0, "–"}, {1, -0.01, "–"}} {
		if got := ratio(tt.sdk, tt.gantry); got != tt.want {
			t.Errorf("ratio of %v and %v: got %q, want %q", tt.sdk, tt.gantry, got, tt.want)
		}
	}
}
