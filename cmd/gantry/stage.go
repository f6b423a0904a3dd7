package main

import (
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

// stageCommand is the command of one stage.
func (p *process) stageCommand(s runner.Stage) *cli.Command {
	flags := commonFlags()
	if s.Name == "push" || s.Name == "push-index" || s.Name == checkName {
		flags = append(outcomeFlags(), flags...)
	}
	return &cli.Command{
		Name:      s.Name,
		Usage:     s.Summary,
		UsageText: "gantry " + s.Name + " --request FILE --response FILE",
		Category:  "Stages",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "request", Usage: "read the request from `FILE`; - is standard input"},
			&cli.StringFlag{Name: "response", Usage: "write the response to `FILE`; - is standard output"},
		}, flags...),
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
			return s.Exec(c.Context, env, files)
		},
	}
}
