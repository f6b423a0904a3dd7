package dockerfile

import (
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// describe names a node by what it is and not by how the file calls it.
func (w *walk) describe(n *node) string {
	if n.stage != nil && n.context == nil {
		return "stage " + strconv.Itoa(n.number)
	}
	return w.describeOrigin(n)
}

func (w *walk) describeBase(n *node) string {
	if n.parent != nil {
		return w.describe(n.parent)
	}
	return w.describeOrigin(n)
}

func (w *walk) describeOrigin(n *node) string {
	switch n.origin.kind {
	case ofImageKind:
		i := w.out.Images[n.origin.image]
		return "image " + i.Name() + " for " + i.Platform.String()
	case ofFolder:
		return "context " + n.origin.context
	case ofURL:
		return "source " + n.origin.url
	}
	return scratch
}

// instruction adds a command to the content: its words as the parser has them, without the names that it gives its sources, and the sources by
// what they are.
func (w *walk) instruction(c *command) {
	name := strings.ToUpper(c.node.Value)
	w.content("instruction", name, c.words())
	for _, source := range c.sources {
		w.content("source", name, w.describe(source))
	}
}

// write makes one text of an instruction's words.
func (i *instruction) write() string {
	sources := false
	switch cmd := i.cmd.(type) {
	case *instructions.CopyCommand:
		sources = cmd.From != ""
	case *instructions.RunCommand:
		sources = len(instructions.GetMounts(cmd)) > 0
	}
	var b strings.Builder
	write(&b, i.node, sources)
	return b.String()
}

// write writes the words of a node, each quoted.
func write(b *strings.Builder, n *parser.Node, sources bool) {
	for _, flag := range n.Flags {
		if sources {
			flag = withoutFrom(flag)
		}
		b.WriteString(strconv.Quote(flag) + " ")
	}
	if n.Attributes["json"] {
		b.WriteString("json ")
	}
	for arg := n.Next; arg != nil; arg = arg.Next {
		for _, sub := range arg.Children {
			b.WriteString(strings.ToUpper(sub.Value) + " ")
			write(b, sub, false)
		}
		if len(arg.Children) == 0 {
			b.WriteString(strconv.Quote(arg.Value) + " ")
		}
	}
	for _, h := range n.Heredocs {
		b.WriteString("<<" + strconv.FormatBool(h.Expand) + strconv.FormatBool(h.Chomp) + strconv.FormatUint(uint64(h.FileDescriptor), 10) +
			strconv.Quote(h.Name) + strconv.Quote(h.Content) + " ")
	}
}

// withoutFrom takes the name of the source out of --from=x and --mount=type=bind,from=x. A mount with quotes stays as it is.
func withoutFrom(flag string) string {
	if strings.HasPrefix(flag, "--from=") {
		return "--from"
	}
	if !strings.HasPrefix(flag, "--mount=") || strings.Contains(flag, `"`) {
		return flag
	}
	var kept []string
	for field := range strings.SplitSeq(strings.TrimPrefix(flag, "--mount="), ",") {
		if len(field) >= 5 && strings.EqualFold(field[:5], "from=") {
			field = "from" // without it, a bind mount is of the context
		}
		kept = append(kept, field)
	}
	return "--mount=" + strings.Join(kept, ",")
}
