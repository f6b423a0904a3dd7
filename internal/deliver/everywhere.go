package deliver

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
)

// Destination is one of the repositories that an image goes to.
type Destination struct {
	registry.Name
	// Mode is how the registry is spoken to: the account of the first one's registry is sent to no other.
	Mode registry.Mode
	// Other says that it is not the first: keys, cache tags, and what was asked before are the first one's alone.
	Other bool
	// Beside is a repository of the same registry that got the image just now, so that its blobs can be mounted; empty when there is none.
	Beside string
}

// CacheTag is the tag that recall looks for, which is written in the first destination alone; empty for any other.
func (d Destination) CacheTag(tag string) string {
	if d.Other {
		return ""
	}
	return tag
}

// Destinations are the first destination and the others behind it.
func Destinations(first registry.Name, others []registry.Name) []Destination {
	out := []Destination{{Name: first, Mode: registry.ModePush}}
	for _, o := range others {
		out = append(out, Destination{Name: o, Mode: registry.PushMode(o.Registry, first.Registry), Other: true})
	}
	return out
}

// Deliver brings an image to one destination. The result has at least the names, also of what failed.
type Deliver func(context.Context, Destination) (outcome.Result, error)

// Everywhere delivers an image to all destinations, whatever becomes of each: registries side by side, the repositories of one registry
// one after the other, so that a later one can mount what an earlier one got. In turn means that all come one after the other. The result
// is that of the first with those of the others. The error is that of the only destination, or of the first where the others have the
// image; else it is GANTRY5018, which names all that failed.
func Everywhere(ctx context.Context, all []Destination, inTurn bool, one Deliver) (outcome.Result, error) {
	results, errs := make([]outcome.Result, len(all)), make([]error, len(all))
	var group sync.WaitGroup
	run := func(indices []int) {
		beside := map[string]string{}
		for _, i := range indices {
			d := all[i]
			near := strings.ToLower(d.Registry)
			d.Beside = cmp.Or(beside[near], d.Beside)
			if results[i], errs[i] = one(ctx, d); errs[i] == nil {
				beside[near] = d.Repository
			}
		}
	}
	for _, indices := range lanes(all, inTurn) {
		group.Go(func() { run(indices) })
	}
	group.Wait()
	err := joined(all, errs)
	if ctx.Err() != nil {
		err = firstError(errs, ctx.Err())
	}
	for i, err := range errs {
		if err != nil {
			results[i] = results[i].Failed(err)
		}
	}
	first := results[0]
	first.AlsoPushed = results[1:]
	return first, err
}

// Tell reports what Everywhere did; tell may be nil. Of a push that failed nothing is told, but for one with several destinations, as
// others may have the image. The error is err, else that of the report.
func Tell(tell func(outcome.Result) error, result outcome.Result, err error) error {
	if tell == nil || err != nil && len(result.AlsoPushed) == 0 {
		return err
	}
	if told := tell(result); err == nil {
		return told
	}
	return err
}

// lanes are the indices of the destinations of each registry.
func lanes(all []Destination, inTurn bool) (out [][]int) {
	for i, d := range all {
		at := slices.IndexFunc(out, func(lane []int) bool { return inTurn || all[lane[0]].SameRegistry(d.Name) })
		if at < 0 {
			out = append(out, []int{i})
		} else {
			out[at] = append(out[at], i)
		}
	}
	return out
}

func firstError(errs []error, otherwise error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return otherwise
}

// joined is one error for all that failed. It may pass when each of them may.
func joined(all []Destination, errs []error) error {
	var texts []string
	passes, others := true, false
	for i, err := range errs {
		if err == nil {
			continue
		}
		texts = append(texts, fmt.Sprintf("%s (%s: %s)", all[i].Name, diag.CodeOf(err), err))
		passes = passes && diag.ExitCode(err) == diag.ExitRetryable
		others = others || all[i].Other
	}
	if !others {
		return firstError(errs, nil)
	}
	which := fmt.Sprintf("%d of %d destinations", len(texts), len(all))
	if len(texts) == 1 {
		which = fmt.Sprintf("one of %d destinations", len(all))
	}
	failed := diag.New(diag.AlsoPushFailed, fmt.Sprintf("%s did not get the image: %s", which, strings.Join(texts, "; and ")),
		"the others have it: publish again, and only what is missing is sent")
	if len(texts) == len(all) {
		failed.Hint = "none has it: publish again"
	}
	failed.Retryable = passes
	return failed
}
