package results

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The two ways in which the images of a graph lie in a registry.
const (
	ByTool  = "80 repositories"
	OneEach = "a repository an image"
)

// The states in which a graph is planned.
const (
	GraphEmpty = "nothing built"
	GraphCold  = "cold"
	GraphWarm  = "warm"
	GraphFile  = "a file changed"
	GraphMoved = "a base moved"
)

// graphStates says what each is, in the order of the table.
var graphStates = []struct{ name, about string }{
	{GraphEmpty, "the registry has the images outside the graph and nothing else, and the cache folder is empty"},
	{GraphCold, "all images are there; the cache folder is empty"},
	{GraphWarm, "the same again, with the cache folder that the cold plan left"},
	{GraphFile, "as warm, and one file of one tool has other content: 160 images are built"},
	{GraphMoved, "as warm, and the image that one system's base begins with has moved: a quarter of all images is built"},
}

// Graph is what `gantry graph plan` costs for a large graph.
type Graph struct {
	Machine Machine `json:"machine"`
	Rounds  int     `json:"rounds"`
	// Latency is how long the registry holds each request, in milliseconds.
	Latency int `json:"latencyMilliseconds"`
	// Images are the combinations, Bases the images of the graph that they are built from, Outside those that are not of the graph.
	Images  int `json:"images"`
	Bases   int `json:"bases"`
	Outside int `json:"outside"`
	// Files and Bytes are those of all build contexts and Dockerfiles.
	Files int          `json:"files"`
	Bytes int64        `json:"bytes"`
	Cases []*GraphCase `json:"cases"`
}

// GraphCase is a state of a graph in one shape.
type GraphCase struct {
	Shape string `json:"shape"`
	State string `json:"state"`
	// Build is how many images the plan builds.
	Build   int           `json:"build"`
	Median  GraphSample   `json:"median"`
	Samples []GraphSample `json:"samples"`
}

// GraphSample is one plan: a process of gantry.
type GraphSample struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	// PeakBytes is the largest resident size.
	PeakBytes int64 `json:"peakBytes"`
	// Questions are for what a tag names, and for a page of tags. Records are the requests for what an image was made of when it was
	// built last, which give the reason. Digests are reads of what else a digest names. AtOnce is the most at the same time.
	Questions int `json:"questions"`
	Records   int `json:"records"`
	Digests   int `json:"digests"`
	AtOnce    int `json:"atOnce"`
}

// Add puts a sample to its case.
func (g *Graph) Add(shape, state string, build int, s GraphSample) {
	c := g.Case(shape, state)
	if c == nil {
		c = &GraphCase{Shape: shape, State: state, Build: build}
		g.Cases = append(g.Cases, c)
	}
	c.Samples = append(c.Samples, s)
	median := func(value func(GraphSample) float64) float64 {
		var all []float64
		for _, s := range c.Samples {
			all = append(all, value(s))
		}
		return round4(quantile(all, 0.5))
	}
	c.Median = GraphSample{
		Seconds: median(func(s GraphSample) float64 { return s.Seconds }), CPUSeconds: median(func(s GraphSample) float64 { return s.CPUSeconds }),
		PeakBytes: int64(median(func(s GraphSample) float64 { return float64(s.PeakBytes) })),
		Questions: int(median(func(s GraphSample) float64 { return float64(s.Questions) })),
		Records:   int(median(func(s GraphSample) float64 { return float64(s.Records) })),
		Digests:   int(median(func(s GraphSample) float64 { return float64(s.Digests) })),
		AtOnce:    int(median(func(s GraphSample) float64 { return float64(s.AtOnce) })),
	}
}

// Case is the case of a shape and a state, nil when it was not measured.
func (g *Graph) Case(shape, state string) *GraphCase {
	i := slices.IndexFunc(g.Cases, func(c *GraphCase) bool { return c.Shape == shape && c.State == state })
	if i < 0 {
		return nil
	}
	return g.Cases[i]
}

// graphGoal is one of the numbers to reach.
type graphGoal struct {
	about  string
	shape  string
	states []string
	limit  func(g *Graph) float64
	format func(float64) string
	// value of a sample; of several states, and of all samples, the largest counts where most says so, else the median.
	value func(GraphSample) float64
	most  bool
}

func constant(v float64) func(*Graph) float64 { return func(*Graph) float64 { return v } }

func inSeconds(v float64) string { return fmt.Sprintf("%.2f s", v) }

func megabytes(v float64) string { return fmt.Sprintf("%.0f MB", v/1e6) }

func wholeNumber(v float64) string { return thousands(int64(math.Round(v))) }

var graphGoals = []graphGoal{
	{"80 repositories, cold", ByTool, []string{GraphCold}, constant(6), inSeconds, wall, false},
	{"80 repositories, warm", ByTool, []string{GraphWarm}, constant(1.5), inSeconds, wall, false},
	{"the same: questions, 2 a repository and 1 a parent", ByTool, []string{GraphCold, GraphWarm}, questionsByTool, wholeNumber, asked, true},
	{"a repository an image, cold", OneEach, []string{GraphCold}, constant(6), inSeconds, wall, false},
	{"a repository an image, warm", OneEach, []string{GraphWarm}, constant(2.5), inSeconds, wall, false},
	{"the same: questions, 1 an image and 1 a parent", OneEach, []string{GraphCold, GraphWarm}, questionsOneEach, wholeNumber, asked, true},
	{"questions at once", "", nil, constant(64), wholeNumber, func(s GraphSample) float64 { return float64(s.AtOnce) }, true},
	{"peak memory of `gantry`, cold and warm", "", []string{GraphCold, GraphWarm}, constant(250e6), megabytes, peakOf, true},
	{"peak memory of `gantry` in any case", "", nil, constant(250e6), megabytes, peakOf, true},
}

func wall(s GraphSample) float64   { return s.Seconds }
func asked(s GraphSample) float64  { return float64(s.Questions) }
func peakOf(s GraphSample) float64 { return float64(s.PeakBytes) }

func questionsByTool(g *Graph) float64 { return float64(2*80 + g.Bases + g.Outside) }

func questionsOneEach(g *Graph) float64 { return float64(g.Images + g.Bases + g.Outside) }

// reach is a goal's number; none when not all of its cases were measured.
func (o graphGoal) reach(g *Graph) (v float64, ok bool) {
	states := o.states
	if states == nil {
		for _, s := range graphStates {
			states = append(states, s.name)
		}
	}
	shapes := []string{o.shape}
	if o.shape == "" {
		shapes = []string{ByTool, OneEach}
	}
	for _, shape := range shapes {
		for _, state := range states {
			c := g.Case(shape, state)
			if c == nil {
				return 0, false
			}
			samples := c.Samples
			if !o.most {
				samples = []GraphSample{c.Median}
			}
			for _, s := range samples {
				v = max(v, o.value(s))
			}
		}
	}
	return v, true
}

func (g *Graph) goalTable() string {
	var rows [][]string
	for _, o := range graphGoals {
		row := []string{o.about, "at most " + o.format(o.limit(g)), "not measured", ""}
		if v, ok := o.reach(g); ok {
			row[2], row[3] = o.format(v), "yes"
			if v > o.limit(g) {
				row[3] = "**no**"
			}
		}
		rows = append(rows, row)
	}
	return table([]string{"`gantry graph plan`, 12,800 images", "goal", "measured", "reached"}, rows)
}

// summary is the part for the README.
func (g *Graph) summary() string {
	return fmt.Sprintf("A graph of %d tools in 160 combinations each over %d shared bases, six of them read by each combination, and a registry "+
		"that holds each request\nfor %d ms; medians of %d rounds on %d cores ([all states](bench/results.md#a-graph-of-12800-images)):\n\n%s",
		g.Images/160, g.Bases, g.Latency, g.Rounds, g.Machine.Cores, g.goalTable())
}

// markdown is the part of results.md.
func (g *Graph) markdown() string {
	var b strings.Builder
	m := g.Machine
	fmt.Fprintf(&b, "\n## A graph of 12,800 images\n\nMedians of %d rounds on %d cores (%s, %s). %s images, 80 tools in 160 combinations each, "+
		"over %d shared bases, of\nwhich each combination reads six; %s files of %s. Each plan is a process of its own, `gantry graph plan` in the format text. "+
		"The registry is\none in memory, in another process on the same cores, and holds each request for %d ms; its own work is in the wall time "+
		"and neither in CPU nor\nin memory. Every image has an index, tags of earlier builds, and the record of its last build.\n\n",
		g.Rounds, m.Cores, m.Processor, m.Platform, thousands(int64(g.Images)), g.Bases, thousands(int64(g.Files)), size(g.Bytes), g.Latency)
	b.WriteString(g.goalTable() + "\n")
	for _, s := range graphStates {
		fmt.Fprintf(&b, "- %s: %s\n", s.name, s.about)
	}
	b.WriteString("\n*Questions* are for what a tag names, or for a page of tags; *records* for what an image that is built was made of the last " +
		"time, for the\nreason; *by digest* are reads of what never changes: the configuration of parents outside the graph.\n\n")
	var rows [][]string
	for _, c := range g.Cases {
		s := c.Median
		rows = append(rows, []string{
			c.Shape, c.State, thousands(int64(c.Build)), inSeconds(s.Seconds), inSeconds(s.CPUSeconds), megabytes(float64(s.PeakBytes)),
			thousands(int64(s.Questions)), thousands(int64(s.Records)), fmt.Sprint(s.Digests), fmt.Sprint(s.AtOnce),
		})
	}
	b.WriteString(table([]string{"registry", "state", "built", "wall time", "CPU", "peak", "questions", "records", "by digest", "at once"}, rows))
	return b.String()
}
