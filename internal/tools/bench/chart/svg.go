package chart

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Pixels of a panel and what is around it.
const (
	panelWidth, panelHeight = 480, 300
	left, right             = 84, 64
	top, bottom             = 120, 56
	lineHeight              = 14.0
)

// The colours are those of GitHub's light and dark pages, which differ enough for those who see no red or green; the points'
// shapes differ too.
const style = `svg{font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
.page{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}.title{font-size:15px;font-weight:600}
.grid{stroke:#d1d9e0}.axis{stroke:#818b98}.mark{stroke:#d1d9e0;stroke-dasharray:2 3}
.c0{stroke:#bc4c00}.c1{stroke:#0969da}.f0{fill:#bc4c00}.f1{fill:#0969da}
.line{fill:none;stroke-width:2}.dashed{stroke-dasharray:6 4}
@media (prefers-color-scheme:dark){.page{fill:#0d1117}.ink{fill:#f0f6fc}.soft{fill:#9198a1}.grid{stroke:#2f3742}.axis{stroke:#656c76}
.mark{stroke:#3d444d}.c0{stroke:#f0883e}.c1{stroke:#58a6ff}.f0{fill:#f0883e}.f1{fill:#58a6ff}}
`

// picture is an SVG that is being written.
type picture struct{ strings.Builder }

func (p *picture) add(format string, args ...any) { fmt.Fprintf(&p.Builder, format+"\n", args...) }

// text writes a text; anchor is start, middle or end.
func (p *picture) text(x, y float64, class, anchor, s string) {
	p.add(`<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class, anchor, html.EscapeString(s))
}

func (p *picture) line(x1, y1, x2, y2 float64, class string) {
	p.add(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

// SVG is the picture. The same chart gives the same text.
func (c Chart) SVG() string {
	p := &picture{}
	width, height := len(c.Panels)*(left+panelWidth+right), top+panelHeight+bottom
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`, width, height, width, height)
	p.add("<title>%s</title>\n<desc>%s</desc>\n<style>\n%s</style>", html.EscapeString(c.Title), html.EscapeString(c.About), style)
	p.add(`<rect class="page" width="%d" height="%d" rx="6"/>`, width, height)
	p.text(16, 24, "ink title", "start", c.Title)
	p.text(16, 42, "soft", "start", c.About)
	if len(c.Panels) > 0 {
		p.legend(c.Panels[0].Series, float64(width))
	}
	for i, panel := range c.Panels {
		p.panel(panel, float64(i*(left+panelWidth+right)+left))
	}
	p.add("</svg>")
	return p.String()
}

// legend is a row below the title, and more where the picture is too narrow. Seven pixels a letter is enough for any of the fonts.
func (p *picture) legend(series []Series, width float64) {
	x, y := 16.0, 62.0
	for _, s := range series {
		need := 36 + 7*float64(len(s.Name))
		if x+need > width {
			x, y = 16, y+lineHeight+4
		}
		p.polyline(s, []float64{x, x + 28}, []float64{y, y})
		p.point(s.Color, x+14, y)
		p.text(x+36, y+4, "ink", "start", s.Name)
		x += need + 20
	}
}

func (p *picture) panel(panel Panel, x0 float64) {
	var xs, ys []float64
	for _, s := range panel.Series {
		for _, point := range s.Points {
			xs, ys = append(xs, point.X), append(ys, point.Y)
		}
	}
	x := newScale(panel.X, xs, x0, x0+panelWidth)
	y := newScale(panel.Y, ys, top+panelHeight, top)
	p.axes(panel, x, y)
	for _, s := range panel.Series {
		var px, py []float64
		for _, point := range s.Points {
			px, py = append(px, x.at(point.X)), append(py, y.at(point.Y))
		}
		p.polyline(s, px, py)
		for i := range px {
			p.point(s.Color, px[i], py[i])
		}
	}
	p.labels(panel, x, y)
}

func (p *picture) axes(panel Panel, x, y scale) {
	base := float64(top + panelHeight)
	for i, m := range panel.Marks {
		at := x.at(m.X)
		above := float64(top) - 10 - lineHeight*float64(i%2) // every other one higher: names are wider than their distance
		p.line(at, above+3, at, base, "mark")
		p.text(at, above, "soft", "middle", m.Name)
	}
	for _, v := range y.ticks {
		p.line(x.from, y.at(v), x.to, y.at(v), "grid")
		p.text(x.from-8, y.at(v)+4, "soft", "end", panel.Y.Format(v))
	}
	for _, v := range x.ticks {
		p.line(x.at(v), base, x.at(v), base+4, "axis")
		p.text(x.at(v), base+18, "soft", "middle", panel.X.Format(v))
	}
	p.line(x.from, base, x.to, base, "axis")
	p.text((x.from+x.to)/2, base+40, "ink", "middle", panel.X.Label)
	middle := float64(top) + panelHeight/2.0
	p.add(`<g transform="rotate(-90 %.1f %.1f)">`, x.from-68, middle)
	p.text(x.from-68, middle, "ink", "middle", panel.Y.Label)
	p.add("</g>")
}

func (p *picture) polyline(s Series, xs, ys []float64) {
	class := fmt.Sprintf("line c%d", s.Color)
	if s.Dashed {
		class += " dashed"
	}
	var points []string
	for i := range xs {
		points = append(points, fmt.Sprintf("%.1f,%.1f", xs[i], ys[i]))
	}
	p.add(`<polyline class="%s" points="%s"/>`, class, strings.Join(points, " "))
}

// point is a circle or a square.
func (p *picture) point(color int, x, y float64) {
	if color == 0 {
		p.add(`<circle class="f0" cx="%.1f" cy="%.1f" r="4"/>`, x, y)
		return
	}
	p.add(`<rect class="f1" x="%.1f" y="%.1f" width="8" height="8"/>`, x-4, y-4)
}

// label is a text at a point that may move up or down.
type label struct {
	x, y  float64
	color int
	text  string
}

// labels writes the points' labels: above them, or right of the last ones.
func (p *picture) labels(panel Panel, x, y scale) {
	at := map[float64][]label{}
	for _, s := range panel.Series {
		for i, point := range s.Points {
			if point.Label == "" || panel.EndLabels && i < len(s.Points)-1 {
				continue
			}
			at[point.X] = append(at[point.X], label{x.at(point.X), y.at(point.Y), s.Color, point.Label})
		}
	}
	var places []float64
	for place := range at {
		places = append(places, place)
	}
	slices.Sort(places)
	for _, place := range places {
		p.column(at[place], panel.EndLabels)
	}
}

// column writes the labels of one place so that none covers another: from the lowest up, each at least a line above the last.
func (p *picture) column(labels []label, beside bool) {
	slices.SortStableFunc(labels, func(a, b label) int { return int(b.y - a.y) })
	x, anchor, lift := 0.0, "middle", 9.0
	if beside {
		x, anchor, lift = 10, "start", -4
	}
	last := float64(top+panelHeight) + lineHeight
	for _, l := range labels {
		last = min(l.y-lift, last-lineHeight)
		p.text(l.x+x, last, fmt.Sprintf("f%d", l.color), anchor, l.text)
	}
}
