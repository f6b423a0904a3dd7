package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/tools/imagestats"
)

// results are what results.json holds.
type results struct {
	Setup string `json:"setup"`
	Cores int    `json:"cores"`
	Pairs int    `json:"pairs"`
	// StartMilliseconds is the median time of "gantry version".
	StartMilliseconds float64 `json:"gantryStartMilliseconds"`
	Cases             []*row  `json:"cases"`
}

// row is one case with one tool. Numbers of requests and bytes are medians,
// as the seconds are.
type row struct {
	Case           string    `json:"case"`
	Tool           string    `json:"tool"`
	Requests       int       `json:"requests"`
	BytesUp        int       `json:"bytesUp"`
	Layers         int       `json:"layers"`
	LayersUploaded int       `json:"layersUploaded"`
	LayersMounted  int       `json:"layersMounted"`
	Seconds        float64   `json:"seconds"`
	AllSeconds     []float64 `json:"allSeconds"`

	requests, bytesUp []float64
}

func newResults(pairs int, about string) *results {
	return &results{Setup: about, Cores: runtime.NumCPU(), Pairs: pairs}
}

func (r *results) add(name, tool string, took time.Duration, s imagestats.Stats) {
	i := slices.IndexFunc(r.Cases, func(x *row) bool { return x.Case == name && x.Tool == tool })
	if i < 0 {
		r.Cases = append(r.Cases, &row{Case: name, Tool: tool})
		i = len(r.Cases) - 1
	}
	x := r.Cases[i]
	x.AllSeconds = append(x.AllSeconds, float64(took.Milliseconds())/1000)
	x.requests = append(x.requests, float64(s.Requests))
	x.bytesUp = append(x.bytesUp, float64(s.Up))
	x.Layers, x.LayersUploaded, x.LayersMounted = s.Layers, s.LayersUp, s.LayersMounted
	x.Seconds, x.Requests, x.BytesUp = median(x.AllSeconds), int(median(x.requests)), int(median(x.bytesUp))
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// write writes both files, rows sorted by case and tool.
func (r *results) write(jsonFile, markdownFile string) error {
	order := []string{cold, unchanged, oneLine}
	slices.SortFunc(r.Cases, func(a, b *row) int {
		if d := slices.Index(order, a.Case) - slices.Index(order, b.Case); d != 0 {
			return d
		}
		return -strings.Compare(a.Tool, b.Tool)
	})
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(jsonFile, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(markdownFile, []byte(r.markdown()), 0o644)
}

func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Gantry and the SDK, side by side\n\nMedians of %d pairs on %d cores; %s. `gantry version` takes %.1f ms.\n\n",
		r.Pairs, r.Cores, r.Setup, r.StartMilliseconds)
	b.WriteString("| publish | with | requests | bytes up | layers uploaded | mounted | seconds |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, x := range r.Cases {
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %.2f |\n",
			x.Case, x.Tool, x.Requests, x.BytesUp, x.LayersUploaded, x.LayersMounted, x.Seconds)
	}
	b.WriteString("\nMade by `scripts/bench`. Cold: nothing compiled, empty content store, a repository that does not exist; packages are restored.\n")
	return b.String()
}
