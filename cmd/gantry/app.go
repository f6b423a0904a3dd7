package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/tasks/runner"
)

// app makes the command line.
func (p *process) app() *cli.App {
	app := &cli.App{
		Name:                      "gantry",
		Usage:                     "builds and pushes container images of .NET applications",
		Version:                   versionText(),
		Reader:                    p.stdin,
		Writer:                    p.stdout,
		ErrWriter:                 p.stderr,
		DisableSliceFlagSeparator: true, // a comma in --env A=b,c is part of the value
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              usageError,
		Action:                    noCommand,
		Commands: []*cli.Command{
			p.publishCommand(), p.copyCommand(), p.diffCommand(), p.explainCommand(), p.cacheCommand(), p.graphCommand(), p.registryCommand(), p.settingsCommand(), p.schemaCommand(), p.stagesCommand(), p.versionCommand(),
		},
	}
	for _, s := range runner.Stages() {
		app.Commands = append(app.Commands, p.commandOf(s))
	}
	for _, c := range app.Commands {
		c.OnUsageError = usageError
		p.useSettings(c)
		for _, sub := range c.Subcommands {
			sub.OnUsageError = usageError
		}
	}
	return app
}

// usageError makes one line of what the flag parser found, without the help text that would follow it.
func usageError(_ *cli.Context, err error, _ bool) error {
	return badUsage(err.Error())
}

func badUsage(what string) error {
	return diag.New(diag.BadUsage, what, "gantry help shows the commands and flags")
}

// noCommand is what happens without a command, and with one that does not exist.
func noCommand(c *cli.Context) error {
	if c.Args().Present() {
		return badUsage(fmt.Sprintf("there is no command %q", c.Args().First()))
	}
	return cli.ShowAppHelp(c)
}

// arguments checks the number of arguments that are no flags.
func arguments(c *cli.Context, names ...string) error {
	if c.NArg() < len(names) {
		return badUsage("the argument " + names[c.NArg()] + " is missing")
	}
	if c.NArg() > len(names) {
		return badUsage(fmt.Sprintf("%q is one argument too many", c.Args().Get(len(names))))
	}
	return nil
}

// flagsFirst puts the flags of a command before its other arguments: the flag parser stops at the first that is no flag, and a
// person writes gantry publish FOLDER --to ....
func flagsFirst(app *cli.App, args []string) []string {
	command, words := commandIn(app.Commands, args)
	if command == nil {
		return args
	}
	flags, rest := args[:words:words], []string(nil)
	for i := words; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case len(a) < 2 || a[0] != '-':
			rest = append(rest, a)
		case takesValue(command, a):
			if i+1 == len(args) {
				return args // the parser says what is missing
			}
			flags = append(flags, a, args[i+1])
			i++
		default:
			flags = append(flags, a)
		}
	}
	return append(append(flags, "--"), rest...)
}

// commandIn finds the command that the first arguments name, and how many they are with the program's own; nil when they name none. A
// command that only holds others has no arguments to put in order.
func commandIn(commands []*cli.Command, args []string) (command *cli.Command, words int) {
	for words = 1; words < len(args); {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[words]) })
		if i < 0 {
			break
		}
		command, commands = commands[i], commands[i].Subcommands
		words++
	}
	if command != nil && len(command.Subcommands) > 0 {
		return nil, 0
	}
	return command, words
}

// takesValue says whether the next argument belongs to the flag arg.
func takesValue(c *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range c.Flags {
		for _, n := range f.Names() {
			if n == name {
				_, isBool := f.(*cli.BoolFlag)
				return !isBool
			}
		}
	}
	return false
}
