package graph

import (
	"context"
	"errors"
	"strings"

	"github.com/gantry-build/gantry/internal/oracle"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/sourcehash"
)

// A list of tags is asked for page by page, and how many there are is not known before. One page may be read where more than one question
// is saved, and then one for every eight.
const questionsPerPage = 8

// listing is what a repository's list of tags says.
type listing struct {
	answers *answers
	name    registry.Name
	leaves  int // images whose presence is wanted
	done    chan struct{}
	wanted  map[string]bool // tags of the list
	tags    map[string]bool // source tags, and those of the wanted that are there
	// whole says that there are no others, and sources that one is a source tag.
	whole, sources bool
}

// plantListings makes a listing for each repository in which several images are asked for by presence alone.
func (p *Plan) plantListings() {
	p.listings = map[registry.Name]*listing{}
	for k := range p.Steps {
		n := p.nodes[p.Steps[k].Image]
		_, built := p.opt.Built[n.Image]
		_, forced := p.opt.Forced[n.Image]
		if n.watched || built || forced || len(n.Unknown) > 0 {
			continue
		}
		l := p.listings[n.home]
		if l == nil {
			l = &listing{answers: p.tags, name: n.home, done: make(chan struct{}), wanted: map[string]bool{}, tags: map[string]bool{}}
			p.listings[n.home] = l
		}
		l.leaves++
		l.wanted[n.tag] = true
	}
	for name, l := range p.listings {
		if l.leaves < 2 {
			delete(p.listings, name)
		}
	}
}

// read reads the list as far as it saves questions. A registry that does not give it is asked for each tag.
func (l *listing) read(ctx context.Context) error {
	defer close(l.done)
	pages := max(1, l.leaves/questionsPerPage)
	l.whole = true // a repository that does not exist has no tags
	err := l.answers.repository(l.name).TagPages(ctx, func(tags []string, more bool) bool {
		for _, tag := range tags {
			source := strings.HasPrefix(tag, sourcehash.TagPrefix)
			if l.sources = l.sources || source; source || l.wanted[tag] {
				l.tags[strings.Clone(tag)] = true
			}
		}
		pages--
		l.whole = !more || pages > 0
		return l.whole
	})
	if err == nil || errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	l.whole = false
	if reason, ok := oracle.Unknowable(err); ok {
		l.answers.log.Debug("the tags are not listed, so each is asked for", "repository", l.name.String(), "reason", reason)
		return nil
	}
	return err
}

// listed says whether the list of tags has that of a node; known is false where only a question tells.
func (p *Plan) listed(ctx context.Context, n *node) (known, has bool, err error) {
	l := p.listings[n.home]
	if l == nil {
		return false, false, nil
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return false, false, context.Cause(ctx)
	}
	has = l.tags[sourcehash.Tag(n.step.Hash)]
	return has || l.whole, has, nil
}

// neverBuilt says whether it is known that a node has no record: no image of its repository has a source tag, or its own tag is not there.
func (p *Plan) neverBuilt(ctx context.Context, n *node) bool {
	l := p.listings[n.home]
	if l == nil {
		return false
	}
	select {
	case <-l.done:
		return l.whole && (!l.sources || l.wanted[n.tag] && !l.tags[n.tag])
	case <-ctx.Done():
		return false
	}
}
