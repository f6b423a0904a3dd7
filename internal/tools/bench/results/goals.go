package results

import (
	"fmt"
	"math"

	"github.com/gantry-build/gantry/internal/tools/bench/chart"
)

// goal is one of the numbers to reach.
type goal struct {
	about string
	// limit is the most that is good, or with atLeast the least.
	limit   float64
	atLeast bool
	format  func(float64) string
	// value gives Gantry's number and the SDK's; that of the SDK is NaN where it has none. ok is false when the case was not
	// measured.
	value func(d *Document) (gantry, sdk float64, ok bool)
}

// goals are in the order of the table. A "container part" is a publish with the container less the same publish without.
var goals = []goal{
	{"nothing changed, 13 MB app: container part", 0.060, false, milliseconds, ofCase(Small, Unchanged, container)},
	{"nothing changed, 160 MB app: container part", 0.080, false, milliseconds, ofCase(Large, Unchanged, container)},
	{"one line changed, 160 MB app: container part", 0.300, false, milliseconds, ofCase(Large, OneLine, container)},
	{"the same: bytes up, of the SDK's", 0.03, false, percent, bytesOfSDK(Large, OneLine)},
	{"the same: requests", 8, false, whole, ofCase(Large, OneLine, requests)},
	{"fresh runner, nothing changed, 160 MB app: layers made", 0, false, whole, gantryOnly(ofCase(Large, Fresh, layersMade))},
	{"the same: requests", 3, false, whole, ofCase(Large, Fresh, requests)},
	{"the same: container part", 0.250, false, milliseconds, ofCase(Large, Fresh, container)},
	{"cold, 160 MB app: times faster than the SDK's container part", 3, true, times, speedup(Large, Cold)},
	{"the same: compressed layers, of the SDK's", 1.05, false, percent, ratioOfLayers(Large, Cold)},
	{"20 projects, nothing changed: requests", 21, false, whole, ofCase(Twenty, Unchanged, requests)},
	{"the same: container part in all", 1, false, milliseconds, ofCase(Twenty, Unchanged, container)},
	{"peak memory of `gantry` when it skips", 64 << 20, false, mebibytes, peak(Unchanged)},
	{"peak memory of `gantry` in any case", 256 << 20, false, mebibytes, peak("")},
}

// outcome is a goal as it was met.
type outcome struct {
	goal
	gantry, sdk float64
	measured    bool
}

func (o outcome) reached() bool {
	if o.atLeast {
		return o.gantry >= o.limit
	}
	return o.gantry <= o.limit
}

func (d *Document) outcomes() []outcome {
	var all []outcome
	for _, g := range goals {
		o := outcome{goal: g}
		o.gantry, o.sdk, o.measured = g.value(d)
		all = append(all, o)
	}
	return all
}

func (d *Document) find(app, situation string) (*Case, bool) {
	c := d.Case(Key{App: app, Situation: situation})
	return c, c != nil && len(c.Gantry.Samples) > 0 && len(c.SDK.Samples) > 0
}

func ofCase(app, situation string, number func(Sample) float64) func(*Document) (float64, float64, bool) {
	return func(d *Document) (float64, float64, bool) {
		c, ok := d.find(app, situation)
		if !ok {
			return 0, 0, false
		}
		return number(c.Gantry.Median), number(c.SDK.Median), true
	}
}

// gantryOnly is for numbers that the SDK has not.
func gantryOnly(value func(*Document) (float64, float64, bool)) func(*Document) (float64, float64, bool) {
	return func(d *Document) (float64, float64, bool) {
		gantry, _, ok := value(d)
		return gantry, math.NaN(), ok
	}
}

// quotient of two numbers of a case; none when the lower one is not above 0.
func quotient(app, situation string, of func(gantry, sdk Sample) (over, under float64)) func(*Document) (float64, float64, bool) {
	return func(d *Document) (float64, float64, bool) {
		c, ok := d.find(app, situation)
		if !ok {
			return 0, 0, false
		}
		over, under := of(c.Gantry.Median, c.SDK.Median)
		return over / under, math.NaN(), under > 0
	}
}

func speedup(app, situation string) func(*Document) (float64, float64, bool) {
	return quotient(app, situation, func(gantry, sdk Sample) (float64, float64) { return sdk.ContainerSeconds, gantry.ContainerSeconds })
}

func bytesOfSDK(app, situation string) func(*Document) (float64, float64, bool) {
	return quotient(app, situation, func(gantry, sdk Sample) (float64, float64) { return float64(gantry.BytesUp), float64(sdk.BytesUp) })
}

func ratioOfLayers(app, situation string) func(*Document) (float64, float64, bool) {
	return quotient(app, situation, func(gantry, sdk Sample) (float64, float64) {
		return float64(gantry.LayerBytes), float64(sdk.LayerBytes)
	})
}

// peak is the largest of all processes, or of those of one situation.
func peak(situation string) func(*Document) (float64, float64, bool) {
	return func(d *Document) (float64, float64, bool) {
		var most int64
		for _, p := range d.Peaks {
			if situation == "" || p.Situation == situation {
				most = max(most, p.Max())
			}
		}
		return float64(most), math.NaN(), most > 0
	}
}

func container(s Sample) float64  { return s.ContainerSeconds }
func requests(s Sample) float64   { return float64(s.Requests) }
func layersMade(s Sample) float64 { return float64(s.LayersMade) }

func milliseconds(v float64) string {
	return fmt.Sprintf("%s ms", thousands(int64(math.Round(v*1000))))
}
func percent(v float64) string   { return fmt.Sprintf("%.3g %%", v*100) }
func whole(v float64) string     { return fmt.Sprintf("%.0f", v) }
func times(v float64) string     { return fmt.Sprintf("%.1f", v) }
func mebibytes(v float64) string { return fmt.Sprintf("%.0f MiB", v/(1<<20)) }

// thousands writes 3200 as "3,200".
func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// size writes a number of bytes for people.
func size(n int64) string { return chart.Bytes(float64(n)) }
