// Package results holds what the bench measured: the document that results.json is, its statistics, the numbers to reach, and what
// is made of them for people: tables in Markdown and charts.
package results

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
)

// The two ways to publish that are compared.
const (
	SDK    = "sdk"
	Gantry = "gantry"
)

// Document is results.json.
type Document struct {
	Machine Machine `json:"machine"`
	// Rounds is how often each case was to be measured with each tool; a case may have more samples, or fewer where it is the
	// state that others start from.
	Rounds int     `json:"rounds"`
	Apps   []App   `json:"apps"`
	Limits *Limits `json:"limits,omitempty"`
	Cases  []*Case `json:"cases"`
	Peaks  []Peak  `json:"peaks,omitempty"`
	Graph  *Graph  `json:"graph,omitempty"`
}

// Read reads the results.json of a folder; where there is none, it is empty.
func Read(dir string) (*Document, error) {
	d := &Document{}
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if os.IsNotExist(err) {
		return d, nil
	}
	if err == nil {
		err = json.Unmarshal(text, d)
	}
	return d, err
}

// Machine is where the numbers are from.
type Machine struct {
	Cores     int    `json:"cores"`
	Processor string `json:"processor"`
	Platform  string `json:"platform"`
	DotnetSDK string `json:"dotnetSdk"`
	Base      string `json:"base"`
	// GantryStartMilliseconds is the median time of "gantry version".
	GantryStartMilliseconds float64 `json:"gantryStartMilliseconds"`
}

// App is a project or a solution that is published.
type App struct {
	Name  string `json:"name"`
	About string `json:"about"`
	// Bytes is the size of the files in the publish folder; 0 for several projects or runtime identifiers.
	Bytes int64 `json:"bytes"`
}

// Limits are what this machine can do at best with the content of one publish folder, all of its cores busy where the work can be
// split. Seconds for the whole folder.
type Limits struct {
	App   string `json:"app"`
	Bytes int64  `json:"bytes"`
	// HashSeconds is SHA-256 on one core, CompressSeconds gzip at Gantry's level on all, UploadSeconds one PUT of what came out
	// through the proxy into the registry.
	HashSeconds     float64 `json:"hashSeconds"`
	CompressSeconds float64 `json:"compressSeconds"`
	CompressedBytes int64   `json:"compressedBytes"`
	UploadSeconds   float64 `json:"uploadSeconds"`
}

// Key names a case.
type Key struct {
	App       string `json:"app"`
	Situation string `json:"situation"`
	// Latency is what the proxy adds to each request, in milliseconds.
	Latency int `json:"latencyMilliseconds"`
}

// Case is one situation of one app, with both tools.
type Case struct {
	Key
	// ChangeBytes is the size of those files of the publish folder that differ from what was published before; -1 is unknown.
	ChangeBytes int64  `json:"changeBytes"`
	SDK         Series `json:"sdk"`
	Gantry      Series `json:"gantry"`
}

// Series is what one tool did in a case.
type Series struct {
	// Median of each value, taken for itself.
	Median Sample `json:"median"`
	// ContainerSpread are the lower and the upper quartile of the container part, in seconds.
	ContainerSpread [2]float64 `json:"containerSpread"`
	Samples         []Sample   `json:"samples"`
}

// Sample is one publish.
type Sample struct {
	Round int `json:"round"`
	// Seconds and CPUSeconds are the publish with the container: wall time, and processor time of dotnet and all it started.
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	// PlainSeconds and PlainCPUSeconds are the same publish without the container; 0 when there was none to compare with.
	PlainSeconds    float64 `json:"plainSeconds"`
	PlainCPUSeconds float64 `json:"plainCpuSeconds"`
	// ContainerSeconds and ContainerCPUSeconds are the differences of these; 0 without something to compare with.
	ContainerSeconds    float64 `json:"containerSeconds"`
	ContainerCPUSeconds float64 `json:"containerCpuSeconds"`
	Traffic
}

// Traffic is what the registry saw of a publish, and what it has afterwards.
type Traffic struct {
	Requests      int   `json:"requests"`
	BytesUp       int64 `json:"bytesUp"`
	BytesDown     int64 `json:"bytesDown"`
	BlobsUploaded int   `json:"blobsUploaded"`
	BlobsMounted  int   `json:"blobsMounted"`
	// LayerBytes are the compressed layers of the image that are not the base's.
	LayerBytes int64 `json:"layerBytes"`
	// LayersMade are own layers that came into Gantry's store; -1 for the SDK, which has none.
	LayersMade int `json:"layersMade"`
}

// Peak is the memory of Gantry's processes in one publish, measured in a round of its own.
type Peak struct {
	Key
	// Stages has the largest resident size of each stage's process, in bytes.
	Stages map[string]int64 `json:"stages"`
}

// Max is the largest process; 0 when none ran.
func (p Peak) Max() int64 {
	var most int64
	for _, n := range p.Stages {
		most = max(most, n)
	}
	return most
}

// Add puts a sample to its case. Container times are computed here.
func (d *Document) Add(key Key, tool string, s Sample) {
	if s.PlainSeconds > 0 {
		s.ContainerSeconds, s.ContainerCPUSeconds = s.Seconds-s.PlainSeconds, s.CPUSeconds-s.PlainCPUSeconds
	}
	c := d.Case(key)
	if c == nil {
		c = &Case{Key: key, ChangeBytes: -1}
		d.Cases = append(d.Cases, c)
	}
	x := c.Of(tool)
	x.Samples = append(x.Samples, s)
	x.summarize()
}

// Case is the case of a key, nil when it was not measured.
func (d *Document) Case(key Key) *Case {
	i := slices.IndexFunc(d.Cases, func(c *Case) bool { return c.Key == key })
	if i < 0 {
		return nil
	}
	return d.Cases[i]
}

// SetChange notes how many bytes of the publish folder changed in a case that has a sample.
func (d *Document) SetChange(key Key, bytes int64) {
	if c := d.Case(key); c != nil {
		c.ChangeBytes = bytes
	}
}

// SetSize notes the size of an app's publish folder.
func (d *Document) SetSize(app string, bytes int64) {
	if i := slices.IndexFunc(d.Apps, func(a App) bool { return a.Name == app }); i >= 0 {
		d.Apps[i].Bytes = bytes
	}
}

// Of is a tool's series.
func (c *Case) Of(tool string) *Series {
	if tool == SDK {
		return &c.SDK
	}
	return &c.Gantry
}

// app is the app of a name, as far as it is known.
func (d *Document) app(name string) App {
	i := slices.IndexFunc(d.Apps, func(a App) bool { return a.Name == name })
	if i < 0 {
		return App{Name: name, About: name}
	}
	return d.Apps[i]
}

// Write writes results.json, results.md, summary.md (the part for the README) and the two charts into a folder. The order of the
// cases is that of the apps, then of first measurement, latency last.
func (d *Document) Write(dir string) error {
	order := map[string]int{}
	for i, a := range d.Apps {
		order[a.Name] = i
	}
	slices.SortStableFunc(d.Cases, func(a, b *Case) int {
		return cmp.Or(cmp.Compare(order[a.App], order[b.App]), cmp.Compare(a.Latency, b.Latency))
	})
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	files := map[string]string{"results.json": string(text) + "\n", "results.md": d.markdown(), "summary.md": d.summary()}
	for name, chart := range d.charts() {
		files[name] = chart.SVG()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
