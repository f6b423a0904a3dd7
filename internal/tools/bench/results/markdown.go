package results

import (
	"fmt"
	"math"
	"strings"
)

// table writes rows of cells under a header.
func table(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(header)
	rule := make([]string, len(header))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// markdown is results.md.
func (d *Document) markdown() string {
	var b strings.Builder
	b.WriteString("# Gantry and the SDK, side by side\n\n")
	b.WriteString(d.method())
	b.WriteString("\n## Numbers to reach\n\n" + d.goalTable())
	b.WriteString(d.limits())
	b.WriteString("\n## Time and bytes follow the change\n\n![" + changeAlt + "](change.svg)\n\n![" + sizeAlt + "](size.svg)\n")
	b.WriteString("\n## All cases\n\n" + d.legend() + "\n" + d.caseTable())
	if len(d.Peaks) > 0 {
		b.WriteString("\n## Memory\n\nThe largest resident size of a process of `gantry`, by stage, in a round of its own. A process of " +
			"less than 10 MiB counts as that much.\n\n" + d.peakTable())
	}
	if d.Graph != nil {
		b.WriteString(d.Graph.markdown())
	}
	return b.String()
}

const (
	changeAlt = "Container part of a publish and bytes up, against the size of the change"
	sizeAlt   = "Container part of a publish against the size of the app"
)

// method says how it was measured.
func (d *Document) method() string {
	m := d.Machine
	return fmt.Sprintf(`Made by `+"`scripts/bench`"+`: medians of %d rounds on %d cores (%s, %s), .NET SDK %s. The registry is
docker-registry on loopback, behind a proxy that counts; %s.
Both tools publish the same sources, in turns, and who goes first alternates. No build server outlives a publish. The *container part*
is the wall time of a publish with the container less that of the same publish without it, measured in the same round; CPU is the
processor time of `+"`dotnet`"+` and all it started, with the container. Where the container part is missing, the publish is the one that
other cases start from: it was made once, not in each round. `+"`gantry version`"+` takes %.1f ms.
`, d.Rounds, m.Cores, m.Processor, m.Platform, m.DotnetSDK, m.Base, m.GantryStartMilliseconds)
}

// summary is the part for the README: the numbers to reach and the charts.
func (d *Document) summary() string {
	text := fmt.Sprintf("%s\nMedians of %d rounds on %d cores, .NET SDK %s, registry on loopback: [all cases and how they are measured](bench/results.md).\n\n"+
		"![%s](bench/change.svg)\n\n![%s](bench/size.svg)\n",
		d.goalTable(), d.Rounds, d.Machine.Cores, d.Machine.DotnetSDK, changeAlt, sizeAlt)
	if d.Graph != nil {
		text += "\n" + d.Graph.summary()
	}
	return text
}

func (d *Document) goalTable() string {
	var rows [][]string
	for _, o := range d.outcomes() {
		kind := "at most "
		if o.atLeast {
			kind = "at least "
		}
		row := []string{o.about, kind + o.format(o.limit), "not measured", "", "", ""}
		if o.measured {
			verdict := "**no**"
			if o.reached() {
				verdict = "yes"
			}
			row = []string{o.about, kind + o.format(o.limit), o.format(o.gantry), "", "", verdict}
			if !math.IsNaN(o.sdk) {
				row[3], row[4] = o.format(o.sdk), ratio(o.sdk, o.gantry)
			}
		}
		rows = append(rows, row)
	}
	return table([]string{"case", "goal", "Gantry", "SDK", "ratio", "reached"}, rows)
}

// ratio is how many times the SDK's number is Gantry's.
func ratio(sdk, gantry float64) string {
	if gantry <= 0 || sdk <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", sdk/gantry)
}

// limits says what bounds a cold publish.
func (d *Document) limits() string {
	l := d.Limits
	if l == nil {
		return ""
	}
	return fmt.Sprintf("\nWhat bounds a cold publish of the %s app on this machine, its %s read from memory: SHA-256 on one core %s, "+
		"gzip at Gantry's level on all %d cores %s (to %s), one upload of that into the registry %s.\n",
		l.App, size(l.Bytes), milliseconds(l.HashSeconds), d.Machine.Cores, milliseconds(l.CompressSeconds), size(l.CompressedBytes),
		milliseconds(l.UploadSeconds))
}

// legend says what the names in the table of cases mean.
func (d *Document) legend() string {
	var b strings.Builder
	for _, a := range d.Apps {
		about := a.About
		if a.Bytes > 0 {
			about += fmt.Sprintf(" (%s published)", size(a.Bytes))
		}
		fmt.Fprintf(&b, "- %s: %s\n", a.Name, about)
	}
	b.WriteString("\n")
	for _, s := range situations {
		fmt.Fprintf(&b, "- %s: %s\n", s.name, s.about)
	}
	return b.String()
}

var caseHeader = []string{
	"app", "case", "latency", "with", "publish", "container part", "ratio", "CPU", "requests", "bytes up", "bytes down", "blobs up", "mounted",
}

func (d *Document) caseTable() string {
	var rows [][]string
	for _, c := range d.Cases {
		latency := "0"
		if c.Latency > 0 {
			latency = fmt.Sprintf("%d ms", c.Latency)
		}
		for _, tool := range []string{SDK, Gantry} {
			if x := c.Of(tool); len(x.Samples) > 0 {
				rows = append(rows, append([]string{c.App, c.Situation, latency, tool}, c.cells(tool)...))
			}
		}
	}
	return table(caseHeader, rows)
}

// cells are a tool's numbers, those of caseHeader from "publish" on.
func (c *Case) cells(tool string) []string {
	m := c.Of(tool).Median
	part, times := "–", ""
	if m.PlainSeconds > 0 {
		part = milliseconds(m.ContainerSeconds)
		if tool == Gantry && len(c.SDK.Samples) > 0 {
			times = ratio(c.SDK.Median.ContainerSeconds, m.ContainerSeconds)
		}
	}
	return []string{
		fmt.Sprintf("%.2f s", m.Seconds), part, times, fmt.Sprintf("%.2f s", m.CPUSeconds), fmt.Sprint(m.Requests),
		size(m.BytesUp), size(m.BytesDown), fmt.Sprint(m.BlobsUploaded), fmt.Sprint(m.BlobsMounted),
	}
}

func (d *Document) peakTable() string {
	var rows [][]string
	for _, p := range d.Peaks {
		most := ""
		for stage, n := range p.Stages {
			if most == "" || n > p.Stages[most] || n == p.Stages[most] && stage < most {
				most = stage
			}
		}
		rows = append(rows, []string{p.App, p.Situation, mebibytes(float64(p.Max())), most})
	}
	return table([]string{"app", "case", "peak", "stage"}, rows)
}
