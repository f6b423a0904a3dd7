package registry

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gantry-build/gantry/internal/progress"
)

const (
	// firstPace is how many questions at once a registry is begun with. Each
	// answer adds one, until the registry says that it is too many.
	firstPace = DefaultParallel
	// slowly is how many answers for each question at once it takes to add one
	// after that.
	slowly = 4
	// tellAgain is how long nothing more is told of a registry that limits
	// requests.
	tellAgain = 30 * time.Second
)

// pace is how fast one server is asked. When it says that it is too much (429,
// or 503 with a time), nobody asks it until the time is over, then half as many
// do at once as did, and those that were turned away come first. Their number
// grows only after twice as many answers as the server gave before it refused:
// a limit per second is met once a second, whatever the number.
//
// Registries limit so in many ways: by the second for each kind of request
// (ECR), by the minute (ACR, GHCR), by six hours (Docker Hub), or by what they
// have in hand. None says before what it allows.
type pace struct {
	client *Client
	addr   string

	mu      sync.Mutex
	reading lane // HEAD and GET
	writing lane // apart, as an upload may wait for what is read
	tokens  lane // apart, as a request may wait for the token of another
	until   time.Time
	limit   quota // that the server told of last
	status  int   // with which it refused last
	round   int   // refusals that counted: of requests that went out after the one before
	streak  int   // of them without an answer between
	answers int   // since the last of them
	before  int   // between the last two of them
	all     int   // answers
	told    time.Time
	changed chan struct{} // closed when somebody may go on; nil when nobody waits
}

// lane is one kind of requests of a pace.
type lane struct {
	most, limit int
	running     int
	turnedAway  int // that will ask again; they have places before others
	grown       int // answers since limit grew
}

func newLane(most int) lane { return lane{most: most, limit: min(most, firstPace)} }

// widen says how many at once a registry may be asked.
func (p *pace) widen(reading, writing int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reading.most == 0 {
		p.reading, p.writing = newLane(reading), newLane(writing)
	}
}

// paceOf is the pace of the server at an address.
func (c *Client) paceOf(addr string) *pace {
	addr = strings.ToLower(addr)
	c.pacing.Lock()
	defer c.pacing.Unlock()
	if c.paces[addr] == nil {
		c.paces[addr] = &pace{client: c, addr: addr, tokens: newLane(cmp.Or(c.limits.Requests, c.parallel))}
	}
	return c.paces[addr]
}

// turn is the way of one request through a pace, over all its attempts.
type turn struct {
	pace   *pace
	began  time.Time // when it was first sent
	waited time.Time // the pause that is over for it
	away   *lane     // that turned it away; nil when none did
	round  int
	all    int  // answers of others when it was turned away; -1 when it never was
	moved  bool // others had answers between the last two times that it was turned away
}

type turnKey struct{}

// withTurn gives the attempts of one request a turn. end must be called.
func withTurn(ctx context.Context) (_ context.Context, t *turn, end func()) {
	t = &turn{all: -1}
	return context.WithValue(ctx, turnKey{}, t), t, t.end
}

// end gives back the place that is kept for a request that was turned away.
func (t *turn) end() {
	if t.away == nil {
		return
	}
	t.pace.mu.Lock()
	defer t.pace.mu.Unlock()
	t.away.turnedAway--
	t.away = nil
	t.pace.wake()
}

// lane is the one that a request for the registry itself takes.
func (p *pace) lane(q *request) *lane {
	if q.method == http.MethodGet || q.method == http.MethodHead {
		return &p.reading
	}
	return &p.writing
}

// send has do send q, when it is its turn. Nobody who has a place in a lane
// waits for one in the same lane.
func (p *pace) send(ctx context.Context, l *lane, q *request, do func() (*http.Response, error)) (*http.Response, error) {
	t, _ := ctx.Value(turnKey{}).(*turn)
	if t == nil {
		t = &turn{all: -1}
		defer t.end()
	}
	if err := p.enter(ctx, t, l, q); err != nil {
		return nil, err
	}
	res, err := do()
	p.leave(t, l, res, err)
	return res, err
}

// enter waits until a request may be sent. It fails when there is another
// server to ask, or when the pause is longer than one may be.
func (p *pace) enter(ctx context.Context, t *turn, l *lane, q *request) error {
	policy := &p.client.policy
	for {
		p.mu.Lock()
		now := policy.now()
		if pause := p.until.Sub(now); pause > 0 && p.until.After(t.waited) {
			until := p.until
			refusal := &StatusError{
				Method: q.method, URL: p.addr + "/v2/" + q.path, StatusCode: p.status, RetryAt: until, limit: p.limit,
			}
			p.mu.Unlock()
			if isImpatient(ctx) || pause > policy.mostOrdered {
				return refusal
			}
			if err := policy.sleep(ctx, pause); err != nil {
				return err
			}
			t.waited = until
			continue
		}
		if l.admits(t.away == l) {
			if t.away == l {
				l.turnedAway--
				t.away = nil
			}
			if t.began.IsZero() {
				t.began = now
			}
			l.running++
			t.pace, t.round = p, p.round
			p.mu.Unlock()
			return nil
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// admits says whether there is a place.
func (l *lane) admits(turnedAway bool) bool {
	if turnedAway {
		return l.running < l.limit
	}
	return l.running+l.turnedAway < l.limit
}

// leave gives the place back, and learns from the answer.
func (p *pace) leave(t *turn, l *lane, res *http.Response, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.running--
	switch {
	case err != nil:
	case limited(res):
		p.refused(t, l, res)
	case !transient(res.StatusCode):
		p.answered(l)
	}
	p.wake()
}

// wake lets those who wait for a place look again.
func (p *pace) wake() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// limited says whether an answer asks for fewer requests.
func limited(res *http.Response) bool {
	return res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != ""
}

func (p *pace) answered(l *lane) {
	p.streak = 0
	p.answers++
	p.all++
	if l.limit >= l.most {
		return
	}
	l.grown++
	if p.round == 0 || l.grown >= slowly*l.limit && p.answers > 2*p.before {
		l.limit++
		l.grown = 0
	}
}

func (p *pace) refused(t *turn, l *lane, res *http.Response) {
	policy := &p.client.policy
	t.moved = t.all >= 0 && p.all > t.all
	t.all = p.all
	if t.away == nil {
		l.turnedAway++
		t.away = l
	}
	now := policy.now()
	p.limit, p.status = quotaOf(res.Header), res.StatusCode
	after, ordered := notBefore(res, now)
	if counts := t.round == p.round; counts {
		p.round++
		p.streak++
		p.before, p.answers = p.answers, 0
		l.limit, l.grown = max(1, min(l.limit, l.running+1)/2), 0
		if !ordered {
			after = now.Add(policy.pause(p.streak))
		}
	}
	if !after.After(p.until) {
		return
	}
	p.until = after
	if pause := after.Sub(now); pause <= policy.mostOrdered && (p.told.IsZero() || now.Sub(p.told) >= tellAgain) {
		p.told = now
		p.client.log.Info("the registry limits requests: it is not asked for a time, and then fewer at once",
			"registry", p.addr, "pause", progress.Words(pause), "at-once", l.limit)
	}
}
