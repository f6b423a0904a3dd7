package dockerfile

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/gantry-build/gantry/internal/nearest"
)

const scratch = "scratch"

// node is a stage, or what an instruction names that is no stage: the frontend's dispatchState.
type node struct {
	stage    *stage // nil for what is no stage
	label    string
	base     string
	line     int
	platform Platform // zero: that of the target
	parent   *node
	// sources are what the commands name, each once a command.
	sources  []*node
	commands []command
	// use is why an image that is no stage is reached.
	use Use
	// context is the named context that replaces the stage.
	context *namedContext

	resolved, triggered, reached bool
	origin                       origin
	unset                        []string // variables of FROM without value
	onBuild                      []string // triggers of the image that it begins with
	vars, config                 *variables
	hasArgs                      bool // an ARG of the stage set a variable
	open                         string
	number                       int // among the stages that are reached
	done                         bool
}

// command is an instruction of one walk.
type command struct {
	*instruction
	line    int
	sources []*node
	onBuild bool
}

// walk is one question to a file.
type walk struct {
	*File
	opt *Options
	*desk
	global *variables
	nodes  []*node
	byName map[string]*node
	out    *Reach
	images map[imageKey]int
	urls   map[string]int
	said   map[Reason]bool
}

// addStages makes the nodes of the stages. A FROM names a stage above it by its name in lower case; anything else is an image.
func (w *walk) addStages() error {
	for i := range w.stages {
		s := &w.stages[i]
		n := &node{stage: s, label: s.Name, line: firstLine(s.Location)}
		if n.label == "" {
			n.label = strconv.Itoa(i)
		}
		var err error
		if n.base, err = w.globalWord(s.BaseName, n.line); err != nil {
			return err
		}
		if n.base == "" {
			return w.errorf(n.line, "the base %q is empty: an argument has no value", s.BaseName)
		}
		n.unset = append(unsetIn(s.BaseName, w.escape, w.global), unsetIn(s.Platform, w.escape, w.global)...)
		if s.Platform != "" {
			if n.platform, err = w.stagePlatform(s, n.line); err != nil {
				return err
			}
		}
		n.commands = make([]command, len(s.commands))
		for k, c := range s.commands {
			n.commands[k] = command{instruction: c, line: c.node.StartLine}
		}
		w.addNode(n)
		if n.context = w.stageContext(n); n.context != nil {
			n.parent = nil
		}
	}
	return nil
}

func (w *walk) addNode(n *node) {
	w.nodes = append(w.nodes, n)
	n.parent = w.byName[n.base]
	if n.stage != nil && n.stage.Name != "" {
		w.byName[n.stage.Name] = n
	}
}

func (w *walk) stagePlatform(s *stage, line int) (Platform, error) {
	word, err := w.globalWord(s.Platform, line)
	if err != nil {
		return Platform{}, err
	}
	if word == "" {
		return Platform{}, w.errorf(line, "the platform %q is empty: an argument has no value", s.Platform)
	}
	p, err := ParsePlatform(word, w.opt.Builder)
	if err != nil {
		return p, w.fail(line, err)
	}
	return p, nil
}

// globalWord replaces variables in the scope before the first FROM.
func (w *walk) globalWord(word string, line int) (string, error) {
	if !strings.ContainsAny(word, special) {
		return word, nil
	}
	text, _, err := w.lex.ProcessWord(word, &environment{variables: w.global})
	if err != nil {
		return "", w.fail(line, err)
	}
	return text, nil
}

// globalArgs are the arguments before the first FROM, over the predefined ones.
func (w *walk) globalArgs() error {
	last := w.stages[len(w.stages)-1].Name
	w.global = w.opt.predefined(last)
	for _, i := range w.args {
		for _, arg := range i.cmd.(*instructions.ArgCommand).Args {
			value, ok := w.opt.Args[arg.Key]
			if !ok && arg.Value != nil {
				var err error
				if value, err = w.globalWord(*arg.Value, i.node.StartLine); err != nil {
					return err
				}
				ok = true
			}
			if ok {
				w.global = w.global.with(arg.Key, value, false)
			}
		}
	}
	return nil
}

// target finds the stage that is asked for, by name. The frontend takes no index here.
func (w *walk) target() (*node, error) {
	if w.opt.Target == "" {
		return w.nodes[len(w.nodes)-1], nil
	}
	n, ok := w.byName[strings.ToLower(w.opt.Target)]
	if !ok {
		hint := ""
		if best := nearest.Name(w.opt.Target, slices.Sorted(maps.Keys(w.byName))); best != "" {
			hint = ": is " + best + " meant?"
		}
		return nil, w.errorf(0, "there is no stage %q to be the target%s", w.opt.Target, hint)
	}
	return n, nil
}

// link finds what the commands of all stages name.
func (w *walk) link() error {
	for _, n := range w.nodes { // those that link adds have no commands
		for i := range n.commands {
			if err := w.linkCommand(n, &n.commands[i]); err != nil {
				return err
			}
		}
	}
	return w.refuseCycles()
}

func (w *walk) linkCommand(n *node, c *command) error {
	use := Use{Stage: n.label, Line: c.line, OnBuild: c.onBuild}
	switch cmd := c.cmd.(type) {
	case *instructions.CopyCommand:
		if cmd.From == "" {
			return nil
		}
		use.Kind = CopyFrom
		source, err := w.copySource(cmd.From, use)
		if err != nil {
			return err
		}
		c.sources = []*node{source}
	case *instructions.RunCommand:
		use.Kind = Mount
		for _, m := range instructions.GetMounts(cmd) {
			from := m.From
			if from == "" {
				from = scratch // as the frontend has it; which mounts begin with the context is seen when they are expanded
			}
			c.sources = append(c.sources, w.named(from, use)) // no index: --mount=from=0 is an image named 0
		}
	}
	n.sources = append(n.sources, c.sources...)
	return nil
}

// copySource is what COPY --from names: a stage by index, a stage by name in any case, or an image.
func (w *walk) copySource(from string, use Use) (*node, error) {
	plain := from
	if strings.ContainsAny(from, special) {
		var err error
		if plain, _, err = w.lex.ProcessWord(from, &environment{}); err != nil {
			return nil, w.fail(use.Line, err)
		}
	}
	if plain != from {
		return nil, w.errorf(use.Line, "variables are not replaced in --from=%s: name a stage that begins with FROM %s", from, from)
	}
	index, err := strconv.Atoi(from)
	if err != nil {
		return w.named(from, use), nil
	}
	if index < 0 || index >= len(w.nodes) {
		return nil, w.errorf(use.Line, "there is no stage of the index %d", index)
	}
	return w.nodes[index], nil
}

func (w *walk) named(name string, use Use) *node {
	if n, ok := w.byName[strings.ToLower(name)]; ok {
		return n
	}
	n := &node{base: name, label: name, line: use.Line, use: use}
	w.addNode(n)
	return n
}

// refuseCycles looks at all stages, reached or not, as the frontend does.
func (w *walk) refuseCycles() error {
	const unseen, open, closed = 0, 1, 2
	state := make(map[*node]int, len(w.nodes))
	type step struct {
		n    *node
		next int
	}
	for _, root := range w.nodes {
		if state[root] != unseen {
			continue
		}
		state[root] = open
		for stack := []step{{n: root}}; len(stack) > 0; {
			top := &stack[len(stack)-1]
			child, ok := top.n.child(top.next)
			top.next++
			switch {
			case !ok:
				state[top.n] = closed
				stack = stack[:len(stack)-1]
			case child == nil || state[child] == closed:
			case state[child] == open:
				return w.errorf(top.n.line, "the stage %q needs itself", child.label)
			default:
				state[child] = open
				stack = append(stack, step{n: child})
			}
		}
	}
	return nil
}

// child is the parent as the first, which may be nil, and then the sources.
func (n *node) child(i int) (*node, bool) {
	if i == 0 {
		return n.parent, true
	}
	if i > len(n.sources) {
		return nil, false
	}
	return n.sources[i-1], true
}

// reach marks what the target reaches. A stage that a named context replaces reaches nothing more: the frontend still reads the configuration
// of images that it names, but none of their content is used.
func (w *walk) reach(target *node) {
	target.reached = true
	seen := map[*node]bool{target: true} // and not reached: triggers may have given more to what was reached before
	for queue := []*node{target}; len(queue) > 0; {
		n := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for i := 0; n.context == nil; i++ {
			child, ok := n.child(i)
			if !ok {
				break
			}
			if child != nil && !seen[child] {
				seen[child], child.reached = true, true
				queue = append(queue, child)
			}
		}
	}
}
