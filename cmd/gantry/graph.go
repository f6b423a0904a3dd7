package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/imagelist"
)

func (p *process) graphCommand() *cli.Command {
	return &cli.Command{
		Name:   "graph",
		Usage:  "says which images of a graph of Dockerfiles must be built again, and builds them",
		Action: noCommand,
		Subcommands: []*cli.Command{
			p.graphPlanCommand(), p.graphAffectedCommand(), p.graphRunCommand(), p.graphStampCommand(), p.graphTagCommand(),
			p.graphParentsCommand(), p.graphStaleCommand(), p.graphVerifyCommand(),
		},
	}
}

// listFlags name the images.
func listFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "list", Value: ".", Usage: "the images: a `FILE` (" + imagelist.FileName + ", the JSON of docker buildx bake --print, a docker-tools manifest.json, a Compose file), or a folder that has the first or Dockerfiles"},
		&cli.StringFlag{Name: "list-format", Usage: "read the list as `FORMAT` (graph, bake, docker-tools, compose or discovery), whatever its name"},
		&cli.StringFlag{Name: "repository", Usage: "put `REGISTRY/FOLDER` before the names of discovered images"},
		&cli.StringSliceFlag{Name: "ignore", Usage: "discover no Dockerfile that `PATTERN` matches, as in .gitignore"},
		&cli.StringSliceFlag{Name: "variable", Usage: "`NAME=VALUE` of a docker-tools manifest"},
	}, commonFlags()...)
}

// listOptions are how a list is read.
func (s *session) listOptions(c *cli.Context) (imagelist.Options, error) {
	variables := map[string]string{}
	for _, v := range c.StringSlice("variable") {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return imagelist.Options{}, badUsage(fmt.Sprintf("--variable %q is not NAME=VALUE", v))
		}
		variables[name] = value
	}
	return imagelist.Options{
		Format: imagelist.Format(c.String("list-format")), Repository: c.String("repository"), Ignore: c.StringSlice("ignore"), Variables: variables,
		Getenv: func(name string) (string, bool) {
			value := s.process.getenv(name)
			return value, value != ""
		},
		Warn: func(text string) { fmt.Fprintln(s.process.stderr, diag.WarningLine(diag.GraphDoubt, text)) },
	}, nil
}

// selectFlags choose among the images.
func selectFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "target", Usage: "only `IMAGE` and what it is built from: a name, a tag, or a pattern with * and **"},
		&cli.BoolFlag{Name: "unknown-built", Usage: "parents of a --target that nobody can know to be unchanged count as built to what their tag names: for jobs after theirs"},
		&cli.StringSliceFlag{Name: "force", Usage: "build `IMAGE` whatever the registry has; '**' is all"},
	}
}

// each tells all errors but the last of a join, and returns that.
func (p *process) each(err error) error {
	all := apart(err)
	if len(all) == 0 {
		return nil
	}
	for _, e := range all[:len(all)-1] {
		fmt.Fprintln(p.stderr, diag.Line(e))
	}
	return all[len(all)-1]
}

// apart are the errors of a join, those of joins in it included.
func apart(err error) (all []error) {
	if err == nil {
		return nil
	}
	var join interface{ Unwrap() []error }
	if !errors.As(err, &join) || len(join.Unwrap()) == 0 {
		return []error{err}
	}
	for _, e := range join.Unwrap() {
		all = append(all, apart(e)...)
	}
	return all
}
