package graphformat

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/progress"
)

// What a terminal is spared without Options.All.
const (
	// maxColumn is the widest name that the reasons of others are moved to the right for.
	maxColumn = 40
	// maxListed are the images of a wave that are listed one by one; more are folded.
	maxListed = 200
	// maxReasons and maxReason bound what is said of one image: lines, and characters in one.
	maxReasons = 3
	maxReason  = 160
)

// writeText writes a plan for a terminal.
func writeText(w io.Writer, p *plan) error {
	var b strings.Builder
	b.WriteString(p.headline() + "\n")
	folded := false
	for i, wave := range p.waves {
		fmt.Fprintf(&b, "\nWave %d: %s\n", i, progress.Count(len(wave), "image"))
		if len(wave) <= maxListed || p.All {
			p.list(&b, wave)
			continue
		}
		folded = true
		p.folds(&b, wave, func(n *node) string { return n.repository })
	}
	if skipped := p.skipped(); len(skipped) > 0 {
		fmt.Fprintf(&b, "\nSkip: %s\n", progress.Count(len(skipped), "image"))
		if p.All {
			p.list(&b, skipped)
		} else {
			p.folds(&b, skipped, func(*node) string { return "" })
		}
	}
	if folded {
		b.WriteString("\nWith --all each image is listed.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// headline says in one line how many images there are to build.
func (p *plan) headline() string {
	skipped := len(p.nodes) - p.build
	switch {
	case len(p.nodes) == 0:
		return "There are no images."
	case p.build == 0:
		return fmt.Sprintf("Nothing to build: %s skipped.", progress.Count(skipped, "image"))
	}
	return fmt.Sprintf("Build %s of %s in %s; skip %s.", progress.Thousands(p.build), progress.Count(len(p.nodes), "image"), progress.Count(len(p.waves), "wave"), progress.Thousands(skipped))
}

func (p *plan) skipped() []int {
	var list []int
	for i := range p.nodes {
		if !p.nodes[i].built() {
			list = append(list, i)
		}
	}
	return list
}

// folds counts images by a key of theirs and the kind of their first reason.
func (p *plan) folds(b *strings.Builder, list []int, key func(*node) string) {
	type fold struct {
		key, text string
		n         int
	}
	var order []string
	folds := map[string]*fold{}
	for _, i := range list {
		n := &p.nodes[i]
		kind, text := "same", phrase("same")
		if reasons := n.step.Reasons; len(reasons) > 0 {
			kind, text = reasons[0].Kind, reasons[0].Text
		}
		at := kind + "\x00" + key(n)
		f := folds[at]
		if f == nil {
			f = &fold{key: key(n), text: text}
			order, folds[at] = append(order, at), f
		}
		if f.text != text {
			f.text = phrase(kind)
		}
		f.n++
	}
	for _, at := range order {
		f := folds[at]
		line := fmt.Sprintf("  %6s  %s", progress.Thousands(f.n), shorten(printable(f.text)))
		if f.key != "" {
			line = fmt.Sprintf("  %6s  %s: %s", progress.Thousands(f.n), printable(f.key), shorten(printable(f.text)))
		}
		b.WriteString(line + "\n")
	}
}

// list writes images with their reasons in a column of its own.
func (p *plan) list(b *strings.Builder, list []int) {
	column := 0
	for _, i := range list {
		if n := utf8.RuneCountInString(printable(p.nodes[i].name)); n <= maxColumn {
			column = max(column, n)
		}
	}
	for _, i := range list {
		name := printable(p.nodes[i].name)
		for k, text := range p.why(i) {
			if k > 0 {
				name = ""
			}
			pad := strings.Repeat(" ", max(0, column-utf8.RuneCountInString(name)))
			b.WriteString(strings.TrimRight("  "+name+pad+"  "+text, " ") + "\n")
		}
	}
}

// why are the reasons of an image, at least one line.
func (p *plan) why(i int) []string {
	reasons := p.nodes[i].step.Reasons
	more := 0
	if !p.All && len(reasons) > maxReasons+1 {
		reasons, more = reasons[:maxReasons], len(reasons)-maxReasons
	}
	lines := []string{}
	for _, r := range reasons {
		text := printable(r.Text)
		if !p.All {
			text = shorten(text)
		}
		lines = append(lines, text)
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("and %s more", progress.Count(more, "reason")))
	}
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

// shorten cuts a line, of which the beginning says the most.
func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxReason {
		return s
	}
	return string([]rune(s)[:maxReason-1]) + "…"
}

// printable shows what a terminal would act on, such as an escape or a change of direction, as its number.
func printable(s string) string {
	s = valid(s)
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "<U+%04X>", r)
		}
	}
	return b.String()
}
