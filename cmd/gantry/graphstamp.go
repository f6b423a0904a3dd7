package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphrun"
	"github.com/gantry-build/gantry/internal/graphstate"
)

func (p *process) graphStampCommand() *cli.Command {
	return &cli.Command{
		Name:      "stamp",
		Usage:     "writes the tag src-<hash> of an image that was built and pushed",
		UsageText: "gantry graph stamp IMAGE (--plan FILE | --hash HASH) (--digest DIGEST | --metadata-file FILE) [--pin REFERENCE=PIN]… [--list FILE]",
		Description: "The tag is written last, and only if the image is in the registry, what it is built from is what the plan saw before the build, and the " +
			"parents that the builder used are those that their tags answer now. What the builder used says its metadata file with a provenance, or else the " +
			"pins that it was given. A plan that was made before the parents were stamped does not know the hash: make one of the image before it is built.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "digest", Usage: "the `DIGEST` that was pushed: of the manifest, or of the index"},
			&cli.StringFlag{Name: "metadata-file", Usage: "the `FILE` of docker buildx build --metadata-file"},
			&cli.StringFlag{Name: "iidfile", Usage: "the `FILE` of --iidfile"},
			&cli.StringFlag{Name: "plan", Usage: "the `FILE` of gantry graph plan --format json that the image was built by: its hash and its pins"},
			&cli.StringFlag{Name: "hash", Usage: "the source `HASH` that the plan had before the build"},
			&cli.StringSliceFlag{Name: "pin", Usage: "the builder was given `REFERENCE=repository@sha256:…`"},
		}, listFlags()...),
		Action: func(c *cli.Context) error { return p.each(p.graphStamp(c)) },
	}
}

func (p *process) graphStamp(c *cli.Context) error {
	if err := arguments(c, "IMAGE"); err != nil {
		return err
	}
	was, err := plannedAs(c)
	if err != nil {
		return err
	}
	s, done, err := p.opened(c) // what is read here is not kept: the files may be those of a build under way
	if err != nil {
		return err
	}
	defer done()
	found, err := s.find([]string{c.Args().First()})
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return badUsage(fmt.Sprintf("%q is %d images", c.Args().First(), len(found)))
	}
	plan, err := s.graph.Plan(c.Context, graph.PlanOptions{Only: found, UnknownBuilt: graphrun.Before(found...)})
	if err != nil {
		return err
	}
	for _, parent := range found[0].Parents {
		if plan.Step(parent).Decision == graph.Build {
			return diag.New(diag.StampParentMissing, found[0].Spec.Name+" is built from "+parent.Spec.Name+", which is not stamped",
				"build and stamp the parent first, then build this image again")
		}
	}
	q, err := graphrun.StampRequest(c.Context, plan, s.options, found[0], nil)
	if err != nil {
		return err
	}
	if err := was.Fill(q, found[0]); err != nil {
		return err
	}
	if err := builtAs(c, q); err != nil {
		return err
	}
	tag, err := s.state.Stamp(c.Context, q)
	if err == nil {
		fmt.Fprintln(p.stdout, tag)
	}
	return err
}

// plannedAs reads --plan, --hash and --pin.
func plannedAs(c *cli.Context) (*graphrun.Planned, error) {
	was := &graphrun.Planned{Pins: map[string]string{}}
	path := c.String("plan")
	if path == "" && c.String("hash") == "" {
		return nil, badUsage("--plan or --hash is missing: nothing else says what the image was built from, as files may have changed since")
	}
	if path != "" {
		var err error
		if was, err = graphrun.ReadPlanned(path, c.Args().First()); err != nil {
			return nil, err
		}
	}
	if c.IsSet("hash") {
		var err error
		if was.Hash, err = cas.ParseDigest(c.String("hash")); err != nil {
			return nil, badUsage("--hash: " + err.Error())
		}
	}
	for _, v := range c.StringSlice("pin") {
		name, pin, ok := strings.Cut(v, "=")
		if !ok {
			return nil, badUsage(fmt.Sprintf("--pin %q is not REFERENCE=PIN", v))
		}
		was.Pins[name] = pin
	}
	return was, nil
}

// builtAs reads what the builder left behind.
func builtAs(c *cli.Context, q *graphstate.Request) (err error) {
	if q.Builder.Metadata, err = builderFile(c, "metadata-file"); err != nil {
		return err
	}
	if q.Builder.ImageID, err = builderFile(c, "iidfile"); err != nil {
		return err
	}
	q.Digest = cas.Digest(c.String("digest"))
	if q.Digest == "" && q.Builder.Metadata != nil {
		q.Digest, err = graphrun.MetadataDigest(q.Builder.Metadata)
	}
	if q.Digest == "" && err == nil {
		err = badUsage("--digest or --metadata-file is missing")
	}
	return err
}

func builderFile(c *cli.Context, flag string) ([]byte, error) {
	path := c.String(flag)
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, diag.Wrap(diag.InvalidBuilderFile, err, "--"+flag, "give the file as the builder wrote it")
	}
	return data, nil
}
