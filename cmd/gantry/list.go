package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graphformat"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/nearest"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/runner"
	"github.com/gantry-build/gantry/tasks/schema"
)

func (p *process) versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "prints the version",
		Action: func(c *cli.Context) error {
			fmt.Fprintln(p.stdout, "gantry version", versionText())
			return nil
		},
	}
}

// documents are the schemas of what is no request and no response, by the name of the stage or of the file.
var documents = map[string][]byte{
	"graph-plan":       graphformat.Schema,
	imagelist.FileName: imagelist.Schema,
}

func (p *process) schemaCommand() *cli.Command {
	return &cli.Command{
		Name:      "schema",
		Usage:     "prints the JSON schema of a stage's request or response, or of another document",
		UsageText: "gantry schema STAGE [--response]\ngantry schema " + strings.Join(slices.Sorted(maps.Keys(documents)), "|"),
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "response", Usage: "the response's schema instead of the request's"}},
		Action: func(c *cli.Context) error {
			if err := arguments(c, "STAGE"); err != nil {
				return err
			}
			if text, ok := documents[c.Args().First()]; ok && !c.Bool("response") {
				_, err := p.stdout.Write(text)
				return err
			}
			s, err := runner.Find(runner.Stages(), c.Args().First())
			if err != nil {
				return noSchema(c.Args().First())
			}
			text := schema.Request(s.Name)
			if c.Bool("response") {
				text = schema.Response(s.Name)
			}
			_, err = p.stdout.Write(text)
			return err
		},
	}
}

// noSchema is the error for a name of no stage and no document.
func noSchema(name string) error {
	names := slices.Sorted(maps.Keys(documents))
	for _, s := range runner.Stages() {
		names = append(names, s.Name)
	}
	hint := "gantry stages lists the stages"
	if best := nearest.Name(name, names); best != "" {
		hint = "is " + best + " meant?"
	}
	return diag.New(diag.BadUsage, fmt.Sprintf("there is no stage %q", name), hint)
}

// stageList is the answer of gantry stages --json.
type stageList struct {
	SchemaVersion int         `json:"schemaVersion"`
	Stages        []stageInfo `json:"stages"`
}

type stageInfo struct {
	Name           string          `json:"name"`
	Summary        string          `json:"summary"`
	Reads          string          `json:"reads"`
	Writes         string          `json:"writes"`
	RunsWhen       string          `json:"runsWhen"`
	RequestSchema  json.RawMessage `json:"requestSchema"`
	ResponseSchema json.RawMessage `json:"responseSchema"`
}

func (p *process) stagesCommand() *cli.Command {
	return &cli.Command{
		Name:  "stages",
		Usage: "lists the stages: what each reads and writes, and when it has to run again",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON, with the schemas"}},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			if c.Bool("json") {
				return p.stagesJSON()
			}
			for _, s := range runner.Stages() {
				fmt.Fprintf(p.stdout, "%s: %s\n  reads   %s\n  writes  %s\n  again   %s\n", s.Name, s.Summary, s.Reads, s.Writes, s.RunsWhen)
			}
			return nil
		},
	}
}

func (p *process) stagesJSON() error {
	list := stageList{SchemaVersion: tasks.SchemaVersion}
	for _, s := range runner.Stages() {
		list.Stages = append(list.Stages, stageInfo{s.Name, s.Summary, s.Reads, s.Writes, s.RunsWhen, schema.Request(s.Name), schema.Response(s.Name)})
	}
	e := json.NewEncoder(p.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(list)
}
