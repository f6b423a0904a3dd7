package main

import (
	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/tasks/runner"
)

// stageCommand is the command of one stage.
func (p *process) stageCommand(s runner.Stage) *cli.Command {
	return &cli.Command{
		Name:      s.Name,
		Usage:     s.Summary,
		UsageText: "gantry " + s.Name + " --request FILE --response FILE",
		Category:  "Stages",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "request", Usage: "read the request from `FILE`; - is standard input"},
			&cli.StringFlag{Name: "response", Usage: "write the response to `FILE`; - is standard output"},
		}, commonFlags()...),
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
