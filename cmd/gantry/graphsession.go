package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/urfave/cli/v2"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/graph"
	"github.com/gantry-build/gantry/internal/graphrun"
	"github.com/gantry-build/gantry/internal/graphstate"
	"github.com/gantry-build/gantry/internal/imagelist"
	"github.com/gantry-build/gantry/internal/nearest"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks/runner"
)

// session is what the commands on a graph work with.
type session struct {
	env     *runner.Env
	process *process
	client  *registry.Client
	state   *graphstate.State
	options graph.Options
	specs   []imagelist.Spec
	// own are the repositories that the list makes images of.
	own   map[registry.Name]bool
	graph *graph.Graph
}

// session makes what needs no list. done must be called at the end.
func (p *process) session(c *cli.Context) (s *session, done func(), err error) {
	env, done, err := p.environment(c)
	if err != nil {
		return nil, nil, err
	}
	s = &session{env: env, process: p, client: env.Registry, own: map[registry.Name]bool{}}
	s.state = graphstate.New(graphstate.Options{
		Open: func(n registry.Name, m registry.Mode) graphstate.Repository { return s.repository(n, m) },
	})
	return s, done, nil
}

// repository is a repository for a use. One that the list makes images of is asked itself: a mirror may have what was there before.
func (s *session) repository(n registry.Name, m registry.Mode) *registry.Repository {
	repository := s.client.Repository(n, m)
	if s.own[n] {
		return repository.Itself()
	}
	return repository
}

// read reads the list.
func (s *session) read(c *cli.Context) error {
	opt, err := s.listOptions(c)
	if err != nil {
		return err
	}
	s.specs, err = imagelist.Load(c.String("list"), opt)
	for i := range s.specs {
		for _, tag := range s.specs[i].Tags {
			if ref, err := registry.ParseReference(tag); err == nil { // else the graph says so
				s.own[ref.Name] = true
			}
		}
	}
	return err
}

// opened makes a session with the graph of the list. done must be called at the end.
func (p *process) opened(c *cli.Context) (s *session, done func(), err error) {
	s, done, err = p.session(c)
	if err != nil {
		return nil, nil, err
	}
	if err := s.open(c); err != nil {
		done()
		return nil, nil, err
	}
	return s, done, nil
}

// open reads the list and makes the graph.
func (s *session) open(c *cli.Context) error {
	if err := s.read(c); err != nil {
		return err
	}
	list, err := filepath.Abs(c.String("list"))
	if err != nil {
		return diag.Wrap(diag.BadUsage, err, "--list", "change to a folder that exists")
	}
	memo := filepath.Join(s.env.Store.Dir(), "graph", cas.DigestOf([]byte(list)).Hex()+".json")
	_ = os.MkdirAll(filepath.Dir(memo), 0o755) // without it files are read again
	files := buildcontext.NewStore(memo)
	s.options = graph.Options{Files: files, Registry: graph.Remote{Client: s.client}, Store: s.env.Store, Log: s.env.Log}
	s.options.Progress = s.process.remaining(c, "graph", "images read").tell
	if s.graph, err = graph.New(c.Context, s.specs, s.options); err != nil {
		return err
	}
	s.options.Progress = nil // what is made for a stamp has a few images
	return nil
}

// keep keeps what was learnt of files for the next call.
func (s *session) keep() {
	if err := s.options.Files.Save(); err != nil {
		s.env.Log.Info("what was read of files is not kept for the next run", "reason", err.Error())
	}
}

// plan makes the plan that the flags ask for. forced are more images to build, and why.
func (s *session) plan(c *cli.Context, forced map[*graph.Image]string) (*graph.Plan, error) {
	only, err := s.find(c.StringSlice("target"))
	if err != nil {
		return nil, err
	}
	if c.Bool("unknown-built") && len(only) == 0 {
		return nil, badUsage("--unknown-built is about the parents of a --target, and there is none")
	}
	opt := graph.PlanOptions{Only: only, Forced: map[*graph.Image]string{}, Records: graphrun.Recorder{State: s.state}}
	if c.Bool("unknown-built") {
		opt.UnknownBuilt = graphrun.Before(only...)
	}
	images, err := s.find(c.StringSlice("force"))
	if err != nil {
		return nil, err
	}
	for _, i := range images {
		opt.Forced[i] = "--force asks for it"
	}
	for i, why := range forced {
		opt.Forced[i] = why
	}
	left := s.process.remaining(c, "plan", "images decided")
	opt.Progress = left.tell
	return s.graph.Plan(c.Context, opt)
}

// find returns the images that names, tags or patterns mean.
func (s *session) find(words []string) ([]*graph.Image, error) {
	var list []*graph.Image
	for _, word := range words {
		before := len(list)
		if i := s.graph.Find(word); i != nil {
			list = append(list, i)
		} else {
			for _, i := range s.graph.Images {
				if ok, err := doublestar.Match(word, i.Spec.Name); ok && err == nil {
					list = append(list, i)
				}
			}
		}
		if len(list) > before {
			continue
		}
		names := make([]string, 0, len(s.graph.Images))
		for _, i := range s.graph.Images {
			names = append(names, i.Spec.Name)
		}
		hint := "gantry graph plan --all lists them"
		if best := nearest.Name(word, names); best != "" {
			hint = "is " + best + " meant?"
		}
		return nil, diag.New(diag.ImageUnknown, fmt.Sprintf("the list has no image %q", word), hint)
	}
	return list, nil
}
