package main

import (
	"context"
	"fmt"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/upkeep"
	"github.com/gantry-build/gantry/tasks/runner"
)

// store opens the user's content store to look into it.
func (p *process) store() *cas.Store {
	return cas.Open(cas.DefaultDir(p.getenv)).WithFallback(cas.Fallback{Dir: cas.TemporaryDir()})
}

// useStore gives env the user's content store, for as long as the command runs. After a push, done has it pruned when that is due.
func (p *process) useStore(ctx context.Context, env *runner.Env) (done func()) {
	dir := cas.DefaultDir(p.getenv)
	env.Store = cas.Open(dir).WithFallback(cas.Fallback{
		Dir:   cas.TemporaryDir(),
		Build: func() string { return env.BuildID },
		Tell: func(reason error) {
			env.Log.Info(diag.MessageLine(diag.StoreReplaced, fmt.Sprintf("the content store %s cannot be written: %v: this build uses %s in its place; "+
				"free some space, or set GantryCacheDir (GANTRY_CACHE_DIR) to another folder", dir, reason, cas.TemporaryDir())))
		},
	})
	release := env.Store.Use()
	pushed, tell := false, env.Outcome
	env.Outcome = func(r outcome.Result) error {
		pushed = true
		return tell(r)
	}
	return func() {
		release()
		if pushed {
			upkeep.Daily(ctx, env.Store, p.getenv, env.Log)
		}
	}
}
