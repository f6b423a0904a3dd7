package results

import (
	"fmt"
	"slices"

	"github.com/gantry-build/gantry/internal/tools/bench/chart"
)

// charts are the pictures by file name.
func (d *Document) charts() map[string]chart.Chart {
	return map[string]chart.Chart{"change.svg": d.changeChart(), "size.svg": d.sizeChart()}
}

// changeChart has the largest app's cases by how much of its content changed.
func (d *Document) changeChart() chart.Chart {
	short := map[string]string{Unchanged: "nothing", OneLine: "one line", OnePackage: "one package", Content: "a data file", Cold: "everything (cold)"}
	var cases []*Case
	for _, c := range d.Cases {
		if c.App == Large && c.Latency == 0 && short[c.Situation] != "" && c.ChangeBytes >= 0 {
			cases = append(cases, c)
		}
	}
	slices.SortFunc(cases, func(a, b *Case) int { return int(a.ChangeBytes - b.ChangeBytes) })
	x := chart.Axis{Label: "content that changed (bytes, logarithmic)", Log: true, Format: chart.Bytes}
	seconds := chart.Panel{X: x, Y: chart.Axis{Label: "container part of the publish (seconds)", Format: chart.Seconds}}
	bytes := chart.Panel{X: x, Y: chart.Axis{Label: "sent to the registry (bytes)", Format: chart.Bytes}}
	for i, tool := range []string{SDK, Gantry} {
		s, b := chart.Series{Name: display[tool], Color: i}, chart.Series{Name: display[tool], Color: i}
		for _, c := range cases {
			m := c.Of(tool).Median
			at, took, sent := float64(c.ChangeBytes), max(0, m.ContainerSeconds), float64(m.BytesUp)
			s.Points = append(s.Points, chart.Point{X: at, Y: took, Label: chart.Seconds(took)})
			b.Points = append(b.Points, chart.Point{X: at, Y: sent, Label: chart.Bytes(sent)})
		}
		seconds.Series, bytes.Series = append(seconds.Series, s), append(bytes.Series, b)
	}
	for _, c := range cases {
		seconds.Marks = append(seconds.Marks, chart.Mark{X: float64(c.ChangeBytes), Name: short[c.Situation]})
	}
	bytes.Marks = seconds.Marks
	return chart.Chart{
		Title: "Time and bytes against the size of the change",
		About: fmt.Sprintf("%s app, medians of %d rounds on %d cores, registry on loopback; less is better", Large, d.Rounds, d.Machine.Cores),

		Panels: []chart.Panel{seconds, bytes},
	}
}

// display are the tools' names for people.
var display = map[string]string{SDK: "SDK", Gantry: "Gantry"}

// sizeChart has the apps of one project by their size.
func (d *Document) sizeChart() chart.Chart {
	panel := chart.Panel{
		X:         chart.Axis{Label: "size of the publish folder (bytes)", Format: chart.Bytes},
		Y:         chart.Axis{Label: "container part of the publish (seconds)", Format: chart.Seconds},
		EndLabels: true,
	}
	for i, tool := range []string{SDK, Gantry} {
		for _, situation := range []string{OneLine, Unchanged} {
			s := chart.Series{Name: display[tool] + ", " + situation, Color: i, Dashed: situation == Unchanged}
			for _, c := range d.Cases {
				if size := d.app(c.App).Bytes; c.Situation == situation && c.Latency == 0 && size > 0 {
					took := max(0, c.Of(tool).Median.ContainerSeconds)
					s.Points = append(s.Points, chart.Point{X: float64(size), Y: took, Label: chart.Seconds(took)})
				}
			}
			slices.SortFunc(s.Points, func(a, b chart.Point) int { return int(a.X - b.X) })
			panel.Series = append(panel.Series, s)
		}
	}
	return chart.Chart{
		Title:  "Time against the size of the app",
		About:  fmt.Sprintf("medians of %d rounds on %d cores, registry on loopback; less is better", d.Rounds, d.Machine.Cores),
		Panels: []chart.Panel{panel},
	}
}
