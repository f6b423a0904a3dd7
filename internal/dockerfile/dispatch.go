package dockerfile

import (
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/dfgitutil"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/util/gitutil"

	"github.com/gantry-build/gantry/internal/buildcontext"
)

// dispatchAll goes through the reached stages in the order of the file.
func (w *walk) dispatchAll(target *node) error {
	number := 0
	for _, n := range w.nodes {
		if n.done || !n.reached {
			continue
		}
		number++
		n.number = number
		if err := w.dispatchStage(n); err != nil {
			return err
		}
		n.done = true
	}
	w.content("target", "target", w.describe(target))
	return nil
}

func (w *walk) dispatchStage(n *node) error {
	if p := n.parent; p != nil {
		if !p.done {
			return w.errorf(n.line, "the stage %q comes after the stage that begins with it", p.label)
		}
		n.platform, n.open, n.config, n.vars = p.platform, p.open, p.config, p.vars
		if p.context != nil && p.origin.kind == ofFolder {
			w.whole(p, Use{Kind: From, Stage: n.label, Line: n.line})
		}
	}
	n.inherit()
	w.content("stage", "FROM", strconv.Itoa(n.number)+" on "+n.platform.String()+" from "+w.describeBase(n))
	for i := range n.commands {
		if err := w.dispatch(n, &n.commands[i]); err != nil {
			return err
		}
	}
	return nil
}

// inherit puts the variables of the configuration over the arguments of the stage below, which are inherited too: an ENV there wins now.
func (n *node) inherit() {
	n.config, n.vars = n.config.compact(), n.vars.compact()
	if n.parent != nil && !n.parent.hasArgs {
		return // every ENV is a variable already
	}
	for _, v := range n.config.latest() {
		if now := n.vars.find(v.name); now == nil || now.text != v.text || now.unknown != v.unknown {
			n.vars = n.vars.with(v.name, v.text, v.unknown)
		}
	}
}

func (w *walk) dispatch(n *node, c *command) error {
	var err error
	switch cmd := c.cmd.(type) {
	case *instructions.ArgCommand:
		return w.arg(n, c, cmd)
	case *instructions.EnvCommand:
		err = w.env(n, c, cmd)
	case *instructions.CopyCommand:
		err = w.copyCommand(n, c, cmd)
	case *instructions.AddCommand:
		err = w.addCommand(n, c, cmd)
	case *instructions.RunCommand:
		err = w.run(n, c)
	}
	w.instruction(c)
	return err
}

// word replaces variables. The missed are those that may be set where nobody looked.
func (w *walk) word(n *node, c *command, word string) (text string, missed []string, err error) {
	if !strings.ContainsAny(word, special) {
		return word, nil, nil
	}
	e := &environment{variables: n.vars, open: n.open}
	if text, _, err = w.lex.ProcessWord(word, e); err != nil {
		err = w.fail(c.line, err)
	}
	return text, e.missed, err
}

// arg is dispatchArg of the frontend: a build argument, else the default, else the value of the global scope. It replaces an ENV of the name.
func (w *walk) arg(n *node, c *command, cmd *instructions.ArgCommand) error {
	for _, a := range cmd.Args {
		value, ok := w.opt.Args[a.Key]
		ok = ok && (value != "" || a.Key != sourceDate) // the frontend takes it out where it is empty
		var missed []string
		var err error
		switch {
		case ok:
		case a.Value != nil:
			if value, missed, err = w.word(n, c, *a.Value); err != nil {
				return err
			}
			ok = true
		default:
			value, ok = w.global.get(a.Key)
		}
		switch {
		case len(missed) > 0:
			w.content("argument", a.Key, "?"+*a.Value)
		case ok:
			w.content("argument", a.Key, "="+value)
		default:
			w.content("argument", a.Key, "")
		}
		if ok && !strings.HasPrefix(a.Key, "BUILDKIT_SBOM_SCAN_") { // which are for the scanner alone
			n.vars, n.hasArgs = n.vars.with(a.Key, value, len(missed) > 0), true
		}
	}
	return nil
}

func (w *walk) env(n *node, c *command, cmd *instructions.EnvCommand) error {
	vars, config := n.vars, n.config
	for _, pair := range cmd.Env { // all of one ENV see what was there before it
		name, missed, err := w.word(n, c, pair.Key)
		if err != nil {
			return err
		}
		value, more, err := w.word(n, c, pair.Value)
		if err != nil {
			return err
		}
		unknown := len(missed)+len(more) > 0
		vars, config = vars.with(name, value, unknown), config.with(name, value, unknown)
	}
	n.vars, n.config = vars, config
	return nil
}

func (w *walk) copyCommand(n *node, c *command, cmd *instructions.CopyCommand) error {
	use := Use{Kind: Copy, Stage: n.label, Line: c.line, OnBuild: c.onBuild}
	context, read := "", true
	if len(c.sources) > 0 {
		source := c.sources[0]
		if !source.done {
			return w.errorf(c.line, "COPY --from=%s names a stage that comes later", cmd.From)
		}
		context, read = source.origin.context, source.isFolder()
		use.Kind = CopyFrom
	}
	for _, path := range cmd.SourcePaths {
		word, missed, err := w.word(n, c, path)
		if err != nil {
			return err
		}
		w.unset(n, path, use)
		g, err := gitSource(word)
		switch {
		case err != nil:
			return w.fail(c.line, err)
		case g != nil || isHTTP(word):
			return w.errorf(c.line, "COPY takes no URL: %s", word)
		case len(missed) > 0:
			w.missed(n, c, path, missed)
		case read:
			w.addPattern(context, buildcontext.Pattern{Path: contextPath(n, word), Parents: cmd.Parents, Exclude: cmd.ExcludePatterns}, use)
		}
	}
	return nil
}

// contextPath is a path of a context in its one form: in a stage for Windows backslashes are slashes, and the system's drive is left out.
func contextPath(n *node, word string) string {
	if n.platform.OS != "windows" {
		return word
	}
	word = strings.ReplaceAll(word, `\`, "/")
	if len(word) > 2 && strings.EqualFold(word[:2], "c:") {
		word = word[2:]
	}
	return word
}

// isFolder says that what is copied from a node are files of a context on this machine.
func (n *node) isFolder() bool {
	return n.origin.kind == ofFolder && (n.stage == nil || n.context != nil)
}

func (w *walk) missed(n *node, c *command, word string, missed []string) {
	w.unknown(c.line, "%s depends on $%s, and %s", word, strings.Join(missed, ", $"), n.open)
}

func (w *walk) addCommand(n *node, c *command, cmd *instructions.AddCommand) error {
	use := Use{Kind: Add, Stage: n.label, Line: c.line, OnBuild: c.onBuild}
	checksum, _, err := w.word(n, c, cmd.Checksum)
	if err != nil {
		return err
	}
	for _, path := range cmd.SourcePaths {
		word, missed, err := w.word(n, c, path)
		if err != nil {
			return err
		}
		w.unset(n, path, use)
		if len(missed) > 0 {
			w.missed(n, c, path, missed)
			continue
		}
		g, err := gitSource(word)
		switch {
		case err != nil:
			return w.fail(c.line, err)
		case g != nil:
			w.addSource(word, commitOf(g, checksum), use)
		case isHTTP(word):
			w.addSource(word, checksum, use)
		default:
			w.addPattern("", buildcontext.Pattern{Path: contextPath(n, word), Exclude: cmd.ExcludePatterns}, use)
		}
	}
	return nil
}

// gitSource is what a word names if that is a git repository, or nil: github.com/a/b without a scheme is a path.
func gitSource(word string) (*dfgitutil.GitRef, error) {
	if !strings.Contains(word, ":") {
		return nil, nil
	}
	g, isGit, err := dfgitutil.ParseGitRef(word)
	switch {
	case err != nil && isGit:
		return nil, err
	case err != nil || g.IndistinguishableFromLocal:
		return nil, nil
	}
	return g, nil
}

func isHTTP(s string) bool {
	return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://")
}

// minCommit is how many digits of a commit fix it. BuildKit holds a source to any beginning of one.
const minCommit = 7

// commitOf is what fixes the content of a git source, or empty.
func commitOf(g *dfgitutil.GitRef, checksum string) string {
	if g.Checksum != "" {
		checksum = g.Checksum
	}
	switch {
	case gitutil.IsCommitSHA(g.Ref) && checksum == "":
		return g.Ref
	case gitutil.IsCommitSHA(g.Ref) || len(checksum) >= minCommit:
		return checksum
	}
	return ""
}

// run looks at the mounts. Those of a parsed command are only known as far as they name what they are from; expanding them changes the
// command, so that another one is made of the node.
func (w *walk) run(n *node, c *command) error {
	if len(c.sources) == 0 {
		return nil
	}
	var all []string
	var mounts []*instructions.Mount
	var err error
	if slices.ContainsFunc(c.node.Flags, func(flag string) bool { return strings.ContainsAny(flag, special) }) {
		mounts, err = c.expandMounts(func(word string) (string, error) {
			text, missed, err := w.word(n, c, word)
			all = append(all, missed...)
			return text, err
		})
	} else {
		mounts, err = c.mounts()
	}
	if err != nil {
		return w.fail(c.line, err)
	}
	for i, m := range mounts {
		if err := w.mount(n, c, m, c.sources[i], all); err != nil {
			return err
		}
	}
	return nil
}

// expandMounts are the mounts of a RUN after word replaced its variables.
func (i *instruction) expandMounts(word instructions.SingleWordExpander) ([]*instructions.Mount, error) {
	again, err := instructions.ParseInstruction(i.node)
	if err != nil {
		return nil, err
	}
	cmd := again.(*instructions.RunCommand)
	err = cmd.Expand(word)
	return instructions.GetMounts(cmd), err
}

func (w *walk) mount(n *node, c *command, m *instructions.Mount, source *node, missed []string) error {
	use := Use{Kind: Mount, Stage: n.label, Line: c.line, OnBuild: c.onBuild}
	context, read := "", m.Type == instructions.MountTypeBind
	if m.From != "" {
		if !source.done {
			return w.errorf(c.line, "RUN --mount=from=%s names a stage that comes later", m.From)
		}
		context, read = source.origin.context, source.isFolder()
	}
	if m.Type != instructions.MountTypeBind && m.Type != instructions.MountTypeCache {
		read = false
	}
	switch {
	case !read:
	case len(missed) > 0:
		w.missed(n, c, "--mount", missed)
	default:
		w.addPattern(context, buildcontext.Pattern{Path: contextPath(n, m.Source), Literal: true}, use)
	}
	return nil
}
