package registry

import (
	"context"
	"sync"
)

// mountLog is what a registry has shown about mounts in this process: whether
// it does them at all, and from where it refused.
type mountLog struct {
	mu      sync.Mutex
	works   bool
	refused map[string]bool // "destination from source"
	open    map[chan struct{}]bool
}

func mountKey(repository, from string) string { return repository + " from " + from }

func (m *mountLog) isRefused(repository, from string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused[mountKey(repository, from)]
}

// begin notes a mount from another repository that is under way. The caller
// calls the function that it returns with the outcome.
func (m *mountLog) begin() (end func(mounted bool)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	done := make(chan struct{})
	if m.open == nil {
		m.open = map[chan struct{}]bool{}
	}
	m.open[done] = true
	return func(mounted bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.works = m.works || mounted
		delete(m.open, done)
		close(done)
	}
}

func (m *mountLog) succeed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.works = true
}

func (m *mountLog) refuse(repository, from string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refused == nil {
		m.refused = map[string]bool{}
	}
	m.refused[mountKey(repository, from)] = true
}

// known says whether mounts work here, after those under way have ended or
// one has succeeded: it saves a question to the registry.
func (m *mountLog) known(ctx context.Context) bool {
	for {
		m.mu.Lock()
		works := m.works
		var one chan struct{}
		for c := range m.open {
			one = c
			break
		}
		m.mu.Unlock()
		if works || one == nil {
			return works
		}
		select {
		case <-one:
		case <-ctx.Done():
			return false
		}
	}
}
