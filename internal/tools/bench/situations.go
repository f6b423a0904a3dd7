package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gantry-build/gantry/internal/tools/bench/results"
)

// beforePlain brings the project into the state of a situation for the publish that a publish with a container is compared with.
func (s *session) beforePlain(ctx context.Context, situation string) error {
	switch situation {
	case results.Cold:
		return s.restart(ctx)
	case results.OnePackage:
		return s.usePackage(ctx, versionPlain)
	}
	return s.change(situation)
}

// beforeContainer does the same for the publish with a container, in a state that the registry has not seen.
func (s *session) beforeContainer(ctx context.Context, situation string) error {
	switch situation {
	case results.Cold:
		return s.clean() // all else is as beforePlain left it
	case results.OnePackage:
		return s.usePackage(ctx, versionContainer)
	case results.BaseMoved:
		return s.registry.moveBase(ctx, s.baseTag(), s.bases.after)
	case results.Fresh:
		if err := s.forget(); err != nil {
			return err
		}
		return s.removeRequests()
	}
	return s.change(situation)
}

// change edits the sources, each time to what they never were.
func (s *session) change(situation string) error {
	switch situation {
	case results.OneLine:
		s.line++
		file := filepath.Join(projectDirs(s.dir, s.app)[0], "Program.cs")
		return replace(file, fmt.Sprintf(`"hello %d"`, s.line-1), fmt.Sprintf(`"hello %d"`, s.line))
	case results.Content:
		s.seed++
		return writeFile(dataFile(s.dir), data(s.app.data, uint64(s.seed)))
	}
	return nil
}

// restart forgets everything: the machine's memory, what was compiled, and the destination, which is another repository from now on.
func (s *session) restart(ctx context.Context) error {
	s.restarts++
	s.repository = fmt.Sprintf("bench/%s-%s-%d", s.app.folder, s.tool, s.restarts)
	s.images, s.files = nil, nil
	if err := s.forget(); err != nil {
		return err
	}
	if err := s.registry.moveBase(ctx, s.baseTag(), s.bases.before); err != nil {
		return err
	}
	if err := s.clean(); err != nil {
		return err
	}
	return s.usePackage(ctx, versionCold)
}

// clean removes what was compiled and keeps what restore wrote.
func (s *session) clean() error {
	for _, dir := range projectDirs(s.dir, s.app) {
		if err := os.RemoveAll(filepath.Join(dir, "bin")); err != nil {
			return err
		}
		entries, err := os.ReadDir(filepath.Join(dir, "obj"))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			if err := os.RemoveAll(filepath.Join(dir, "obj", e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeRequests removes Gantry's folders under the projects' obj, which no other machine has.
func (s *session) removeRequests() error {
	for _, dir := range projectDirs(s.dir, s.app) {
		err := filepath.WalkDir(filepath.Join(dir, "obj"), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() || e.Name() != "gantry" {
				return err
			}
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// usePackage sets the version of the package that changes, and restores.
func (s *session) usePackage(ctx context.Context, version string) error {
	if version != s.version {
		for i, dir := range projectDirs(s.dir, s.app) {
			line := `Include="` + changedPackage + `" Version="`
			if err := replace(filepath.Join(dir, projectName(s.app, i)+".csproj"), line+s.version, line+version); err != nil {
				return err
			}
		}
		s.version = version
	}
	return s.restore(ctx)
}
