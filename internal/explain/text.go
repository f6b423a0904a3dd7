package explain

import (
	"fmt"
	"io"
	"strings"
)

// maxLines bounds the differences that are listed for a stage; the JSON form has all.
const maxLines = 12

// Text writes the report for people. What users named (labels, files) is in it: control characters are left out, so that no name can
// write to a terminal.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for i, f := range r.Folders {
		if i > 0 {
			b.WriteByte('\n')
		}
		f.text(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f *Folder) text(b *strings.Builder) {
	line(b, "%s (%s)", f.RuntimeIdentifier, f.Path)
	if f.Error != "" {
		line(b, "  the last publish failed: %s", f.Error)
	}
	for _, s := range f.Stages {
		line(b, "  %-16s %-9s %s", s.Name, s.State, s.Because)
		if s.ComparedWith != "" && s.State == Ran {
			line(b, "  %-26s compared with %s", "", s.ComparedWith)
		}
		if len(s.Differences) < 2 {
			continue // the sentence has it
		}
		for i, d := range s.Differences {
			if i == maxLines {
				line(b, "  %-26s … %d more: --json lists them", "", len(s.Differences)-i)
				break
			}
			line(b, "  %-26s - %s", "", d)
		}
	}
}

func line(b *strings.Builder, format string, args ...any) {
	b.WriteString(strings.TrimRight(strings.Map(printable, fmt.Sprintf(format, args...)), " "))
	b.WriteByte('\n')
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
		return '?'
	}
	return r
}
