package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/tasks/runner"
)

// commandOf is the command of one stage; check can be called without files too.
func (p *process) commandOf(s runner.Stage) *cli.Command {
	c := p.stageCommand(s)
	if s.Name == checkName {
		return p.checkCommand(s, c)
	}
	return c
}

// codesFlag sends messages with a code to standard output: MSBuild's Exec gives the two streams different importance, and these are to be
// seen where the rest of what a stage says is not.
const codesFlag = "codes-on-stdout"

// stageCommand is the command of one stage.
func (p *process) stageCommand(s runner.Stage) *cli.Command {
	flags := append([]cli.Flag{
		&cli.StringFlag{Name: "request", Usage: "read the request from `FILE`; - is standard input"},
		&cli.StringFlag{Name: "response", Usage: "write the response to `FILE`; - is standard output"},
		&cli.StringFlag{Name: "stamp", Usage: "do nothing when `FILE` holds what the stage would read, else write it"},
		&cli.StringFlag{Name: "trace", Usage: "add a line with what became of the stage to `FILE`"},
		&cli.BoolFlag{Name: codesFlag, Usage: "say messages that have a code on standard output"},
	}, commonFlags()...)
	if s.Name == "push" || s.Name == "save" {
		flags = append(flags, &cli.BoolFlag{Name: "if-current", Usage: s.Name + " only if the stages before, which lie in the same folder, have no work; else exit with 10"})
	}
	if slices.Contains([]string{"push", "push-index", "save", checkName}, s.Name) {
		flags = append(flags, outcomeFlags()...)
	}
	return &cli.Command{
		Name:      s.Name,
		Usage:     s.Summary,
		UsageText: "gantry " + s.Name + " --request FILE --response FILE",
		Category:  "Stages",
		Flags:     flags,
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			files := runner.Files{Request: c.String("request"), Response: c.String("response")}
			if files.Request == "" || files.Response == "" {
				return badUsage("--request and --response are needed")
			}
			env, done, err := p.environment(c)
			if err != nil {
				return err
			}
			defer done()
			return execStage(c, env, s, files)
		},
	}
}

// execStage calls a stage as the flags say.
func execStage(c *cli.Context, env *runner.Env, s runner.Stage, files runner.Files) (err error) {
	trace, ran := runner.Trace(c.String("trace")), true
	switch {
	case c.Bool("if-current"):
		err = s.ExecIfCurrent(c.Context, env, files, trace)
	case c.String("stamp") != "":
		ran, err = s.ExecUnlessCurrent(c.Context, env, files, c.String("stamp"))
	default:
		err = s.Exec(c.Context, env, files)
	}
	if err != nil {
		return err
	}
	return trace.Note(env, s.Name, ran)
}
