package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/tools/bench/results"
)

// bench is one run.
type bench struct {
	options
	work     string
	registry *registry
	bases    *bases
	doc      *results.Document
	sessions map[string][]*session // of both tools, by app
}

var tools = []string{results.SDK, results.Gantry}

func run(ctx context.Context, o options) error {
	work, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := &bench{options: o, work: work, sessions: map[string][]*session{}}
	if b.doc, err = results.Read(o.out); err != nil {
		return err
	}
	gantry := o.gantry
	if gantry == "" && len(b.selected()) > 0 {
		b.doc = &results.Document{Rounds: o.rounds, Graph: b.doc.Graph}
		if err := b.publishes(ctx); err != nil {
			return err
		}
		gantry = b.tool()
	}
	if gantry != "" {
		if err := b.graph(ctx, gantry); err != nil {
			return err
		}
	}
	return b.doc.Write(o.out)
}

// publishes measures Gantry and the SDK in turns.
func (b *bench) publishes(ctx context.Context) (err error) {
	if b.registry, err = startRegistry(ctx, b.work); err != nil {
		return err
	}
	defer b.registry.close()
	if b.bases, err = b.registry.pushBases(ctx); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for round := range b.rounds {
		for _, a := range b.selected() {
			if err := b.round(ctx, a, round); err != nil {
				return err
			}
		}
	}
	return b.finish(ctx)
}

// selected are the apps of which anything is to be measured.
func (b *bench) selected() []app {
	return slices.DeleteFunc(apps(), func(a app) bool {
		return !slices.ContainsFunc(a.cases, func(m measurement) bool { return len(b.latenciesOf(a, m, 0)) > 0 })
	})
}

// latenciesOf are those with which a case is to be measured, in milliseconds: more than the first one only in the first of a round's
// repetitions.
func (b *bench) latenciesOf(a app, m measurement, repetition int) []int {
	all := b.latencies
	if !m.latency || repetition > 0 {
		all = all[:1]
	}
	return slices.DeleteFunc(slices.Clone(all), func(ms int) bool { return !b.wanted(results.Key{App: a.name, Situation: m.situation, Latency: ms}) })
}

func (b *bench) wanted(key results.Key) bool {
	return b.cases.MatchString(fmt.Sprintf("%s/%s/%d", key.App, key.Situation, key.Latency))
}

// prepare writes the projects and restores their packages, which is no part of what is measured.
func (b *bench) prepare(ctx context.Context) error {
	for _, a := range b.selected() {
		for _, tool := range tools {
			b.say("restoring the %s app for %s", a.name, tool)
			s, err := newSession(b.work, b.options, a, tool, b.registry, b.bases)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(s.tmp, 0o755); err != nil {
				return err
			}
			if err := s.restore(ctx); err != nil {
				return err
			}
			b.sessions[a.name] = append(b.sessions[a.name], s)
		}
		b.doc.Apps = append(b.doc.Apps, results.App{Name: a.name, About: a.about})
	}
	return b.aboutMachine(ctx)
}

// round measures all cases of an app with both tools, who goes first changing from round to round: neither always finds warm caches.
func (b *bench) round(ctx context.Context, a app, round int) error {
	order := slices.Clone(b.sessions[a.name])
	if round%2 == 1 {
		slices.Reverse(order)
	}
	cases := slices.DeleteFunc(slices.Clone(a.cases), func(m measurement) bool { return len(b.latenciesOf(a, m, 0)) == 0 })
	if cases[0].situation != results.Cold && (round == 0 || needsRestart(cases)) {
		for _, s := range order {
			if err := b.start(ctx, s, round); err != nil {
				return err
			}
		}
	}
	for _, m := range cases {
		for i := range m.times {
			for _, s := range order {
				if err := b.pair(ctx, s, m, round, i); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// needsRestart is whether a round cannot go on from the state that the one before left: a package that was published before is in
// the registry and the store, and a base has moved once.
func needsRestart(cases []measurement) bool {
	return slices.ContainsFunc(cases, func(m measurement) bool {
		return m.situation == results.OnePackage || m.situation == results.BaseMoved
	})
}

// start is the cold publish that other cases start from. For an app without a case of it, this is its only sample.
func (b *bench) start(ctx context.Context, s *session, round int) error {
	if err := s.beforePlain(ctx, results.Cold); err != nil {
		return err
	}
	key := results.Key{App: s.app.name, Situation: results.Cold}
	taken, err := b.publish(ctx, s, key, round)
	if err == nil && b.wanted(key) {
		b.add(s, taken, usage{})
	}
	return err
}

// pair is a publish without a container and, for each latency, one with; in every second repetition of the case in which nothing
// changes the other way round.
func (b *bench) pair(ctx context.Context, s *session, m measurement, round, repetition int) error {
	latencies := b.latenciesOf(s.app, m, repetition)
	if len(latencies) == 0 {
		return nil
	}
	plainFirst := m.situation != results.Unchanged || repetition%2 == 0
	var plain usage
	var all []taken
	var err error
	if plainFirst {
		if plain, err = s.plainIn(ctx, m.situation); err != nil {
			return err
		}
	}
	for _, ms := range latencies {
		t, err := b.publish(ctx, s, results.Key{App: s.app.name, Situation: m.situation, Latency: ms}, round)
		if err != nil {
			return err
		}
		all = append(all, t)
	}
	if !plainFirst {
		if plain, err = s.plainIn(ctx, m.situation); err != nil {
			return err
		}
	}
	for _, t := range all {
		b.add(s, t, plain)
	}
	return nil
}

// taken is one publish with a container.
type taken struct {
	key    results.Key
	sample results.Sample
	// change is how many bytes of the publish folder changed; -1 is unknown.
	change int64
}

func (b *bench) add(s *session, t taken, plain usage) {
	t.sample.PlainSeconds, t.sample.PlainCPUSeconds = plain.Seconds, plain.CPUSeconds
	b.doc.Add(t.key, s.tool, t.sample)
	if t.change >= 0 {
		b.doc.SetChange(t.key, t.change)
	}
	b.say("round %d, %s, %s, %d ms, %s: %.2f s, %.2f s without the container; %d requests, %d bytes up, %d layers made",
		t.sample.Round+1, t.key.App, t.key.Situation, t.key.Latency, s.tool, t.sample.Seconds, plain.Seconds,
		t.sample.Requests, t.sample.BytesUp, t.sample.LayersMade)
}

// plainIn publishes without a container in a situation.
func (s *session) plainIn(ctx context.Context, situation string) (usage, error) {
	if err := s.beforePlain(ctx, situation); err != nil {
		return usage{}, err
	}
	return s.plain(ctx)
}

// publish publishes with a container; in the first round it also looks at the size of the app and of the change.
func (b *bench) publish(ctx context.Context, s *session, key results.Key, round int) (taken, error) {
	t := taken{key: key, change: -1}
	err := s.beforeContainer(ctx, key.Situation)
	if err != nil {
		return t, err
	}
	if t.sample, err = s.publish(ctx, key.Situation, key.Latency); err != nil {
		return t, err
	}
	t.sample.Round = round
	if round > 0 || s.app.projects > 1 || len(s.app.rids) > 0 {
		return t, nil
	}
	var all int64
	if t.change, all, err = s.changed(); err == nil {
		b.doc.SetSize(key.App, all)
	}
	return t, err
}

// say writes a line of progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func (b *bench) aboutMachine(ctx context.Context) error {
	sdk, err := exec.CommandContext(ctx, "dotnet", "--version").Output()
	if err != nil {
		return fmt.Errorf("dotnet --version: %w", err)
	}
	b.doc.Machine = machine(strings.TrimSpace(string(sdk)), b.bases.about)
	b.doc.Machine.GantryStartMilliseconds, err = startTime(ctx, b.tool(), 50)
	return err
}

// tool is the binary of the package as it was restored.
func (b *bench) tool() string {
	return filepath.Join(packagesDir(b.work), "gantry.containers", strings.ToLower(b.version), "tools", ownRID(), "gantry")
}
