package graphformat

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"io"
	"text/template"

	"github.com/gantry-build/gantry/internal/graph"
)

var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/model.js
	pageModel string
	//go:embed page/list.js
	pageList string
	//go:embed page/picture.js
	pagePicture string
	//go:embed page/detail.js
	pageDetail string
	//go:embed page/main.js
	pageMain string
)

// pageTemplate is no html/template: what it puts together is our own, but for the data, which is JSON without < and &.
var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// pageData are the images as arrays, 12,800 of which are read in a few milliseconds. Strings that many images share stand in tables.
type pageData struct {
	// Reasons are kind, name and text.
	Reasons [][3]string `json:"reasons"`
	// Phrases say what the kinds of Reasons mean.
	Phrases      map[string]string `json:"phrases"`
	Repositories []string          `json:"repositories"`
	Bases        []string          `json:"bases"`
	// Images are name, repository, wave (-1: skipped), reasons, parents, bases, and an object of what else there is to show.
	Images [][7]any `json:"images"`
}

// table gives each string a number.
type table[K comparable] struct {
	list []K
	at   map[K]int
}

func (t *table[K]) index(k K) int {
	i, ok := t.at[k]
	if !ok {
		if t.at == nil {
			t.at = map[K]int{}
		}
		i = len(t.list)
		t.at[k] = i
		t.list = append(t.list, k)
	}
	return i
}

func newPageData(p *plan) pageData {
	var reasons table[graph.Reason]
	var repositories, bases table[string]
	data := pageData{Reasons: [][3]string{}, Phrases: map[string]string{}, Images: [][7]any{}}
	for i := range p.nodes {
		n := &p.nodes[i]
		why, from, parents := []int{}, []int{}, append([]int{}, n.parents...)
		for _, r := range n.step.Reasons {
			why = append(why, reasons.index(r))
		}
		for _, base := range n.bases {
			from = append(from, bases.index(base))
		}
		wave := -1
		if n.built() {
			wave = n.step.Wave
		}
		data.Images = append(data.Images, [7]any{n.name, repositories.index(n.repository), wave, why, parents, from, p.details(n)})
	}
	for _, r := range reasons.list {
		data.Reasons = append(data.Reasons, [3]string{r.Kind, valid(r.Name), valid(r.Text)})
		data.Phrases[r.Kind] = phrase(r.Kind)
	}
	data.Repositories, data.Bases = append([]string{}, repositories.list...), append([]string{}, bases.list...)
	return data
}

// pageDetails are what the page shows of an image beside its place in the graph.
type pageDetails struct {
	File      string   `json:"file,omitempty"`
	Target    string   `json:"target,omitempty"`
	Tag       string   `json:"tag,omitempty"`
	Digest    string   `json:"digest,omitempty"`
	Hash      string   `json:"hash,omitempty"`
	Platforms []string `json:"platforms,omitempty"`
	Tags      []string `json:"tags,omitempty"`
}

func (p *plan) details(n *node) pageDetails {
	s := n.step.Image.Spec
	return pageDetails{
		File: p.path(s.Dockerfile), Target: s.Target, Tag: n.step.Tag, Digest: string(n.step.Digest), Hash: string(n.step.Hash),
		Platforms: s.Platforms, Tags: s.Tags,
	}
}

// writeHTML writes one page that needs nothing else: its policy forbids the network, and all scripts but its own.
func writeHTML(w io.Writer, p *plan) error {
	var data bytes.Buffer
	e := json.NewEncoder(&data) // escapes <, > and &
	if err := e.Encode(newPageData(p)); err != nil {
		return err
	}
	script := "'use strict';\n(function () {\n" + pageModel + pageList + pagePicture + pageDetail + pageMain + "})();\n"
	return pageTemplate.Execute(w, map[string]string{
		"Style": pageCSS, "StyleHash": contentHash(pageCSS), "Script": script, "ScriptHash": contentHash(script),
		"Data": data.String(),
	})
}

// contentHash is a source expression of a content security policy.
func contentHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
