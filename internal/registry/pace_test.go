package registry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

// TestPace: whatever a registry allows, all questions are answered, and few of them are turned away.
func TestPace(t *testing.T) {
	atOnce := func(n int) func(int, int, time.Time) bool {
		return func(now, _ int, _ time.Time) bool { return now > n }
	}
	perSecond := func(n int) func(int, int, time.Time) bool {
		var second time.Time
		left := 0
		return func(_, _ int, at time.Time) bool {
			if at.Sub(second) >= time.Second {
				second, left = at, n
			}
			left--
			return left < 0
		}
	}
	const questions = 1000
	for name, test := range map[string]struct {
		tooFar  func(now, answered int, at time.Time) bool
		refuse  []string
		refused int // at most
	}{
		"anything":             {func(int, int, time.Time) bool { return false }, nil, 0},
		"one at once":          {atOnce(1), []string{"Retry-After", "1"}, 60},
		"ten at once":          {atOnce(10), []string{"Retry-After", "1"}, 60},
		"ten at once, no time": {atOnce(10), nil, 60},
		"forty at once":        {atOnce(40), []string{"Retry-After", "1"}, 60},
		"20 a second":          {perSecond(20), []string{"Retry-After", "1"}, questions/20 + 60},
		"300 a second":         {perSecond(300), []string{"Retry-After", "1"}, 120},
		"once":                 {func(_, answered int, _ time.Time) bool { return answered == 100 }, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStrained(t, test.refuse...)
			s.tooFar = test.tooFar
			if name == "once" {
				first := true
				s.tooFar = func(_, answered int, _ time.Time) bool {
					was := first && answered == 100
					first = first && !was
					return was
				}
				test.refused = 1
			}
			var log lines
			c, _, p := testClient(t, nil, Options{Limits: Limits{Requests: 64}, Log: slog.New(slog.NewTextHandler(&log, nil))})
			s.clock = p.time
			start := p.time()
			if err := s.ask(t, c, questions); err != nil {
				t.Fatal(err)
			}
			if s.refused > test.refused || s.answered != questions {
				t.Errorf("%d of %d turned away, want at most %d", s.refused, s.asked, test.refused)
			}
			told := log.count("limits requests")
			if most := 1 + int(p.time().Sub(start)/tellAgain); told > most || told == 0 && s.refused > 0 {
				t.Errorf("told %d times in %s, want at most %d", told, p.time().Sub(start), most)
			}
		})
	}
}

// TestPace_rises: from 8 at once to as many as there may be with each answer; after a refusal half as many as there were, and slowly more.
func TestPace_rises(t *testing.T) {
	c, _, clock := testClient(t, nil, Options{})
	p := c.paceOf("registry.example")
	p.widen(64, 8)
	ok, refuse := &http.Response{StatusCode: 200}, &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"1"}}}
	all := func(n int, status ...*http.Response) {
		t.Helper()
		var turns []*turn
		for range n {
			if !p.reading.admits(false) {
				t.Fatalf("%d of %d at once", len(turns), n)
			}
			turns = append(turns, &turn{all: -1})
			if err := p.enter(t.Context(), turns[len(turns)-1], &p.reading, &request{}); err != nil {
				t.Fatal(err)
			}
		}
		if n >= p.reading.limit && p.reading.admits(false) {
			t.Errorf("more than %d at once", n)
		}
		for k, one := range turns {
			p.leave(one, &p.reading, status[min(k, len(status)-1)], nil)
			one.end()
		}
	}
	limit := func(want int) {
		t.Helper()
		if p.reading.limit != want {
			t.Errorf("%d at once, want %d", p.reading.limit, want)
		}
	}
	limit(8)
	all(8, ok)
	limit(16)
	for range 4 {
		all(16, ok)
	}
	limit(64)
	all(64, refuse) // all of them were sent before the first was refused: that counts once
	limit(32)
	clock.advance(time.Second)
	for range 4 { // there were 72 answers before the refusal
		all(32, ok)
	}
	limit(32)
	for range 3 {
		all(32, ok)
	}
	limit(33)
	all(4, refuse, ok) // four were under way
	limit(2)
	if p.reading.running != 0 || p.reading.turnedAway != 0 {
		t.Errorf("%d run, %d will come again", p.reading.running, p.reading.turnedAway)
	}
}

// lines counts what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), part)
}

// TestPace_ends: a limit that is not over soon ends everything at once, with what the registry says of it.
func TestPace_ends(t *testing.T) {
	for name, test := range map[string]struct {
		refuse []string
		asked  int // at most
		says   string
	}{
		"an hour": {
			[]string{"Retry-After", "3600"},
			firstPace,
			": the registry limits requests, and wants none for 1h: HEAD ",
		},
		"Docker Hub": {
			[]string{"RateLimit-Limit", "100;w=21600", "RateLimit-Remaining", "0;w=21600"},
			firstPace,
			": the registry limits requests to 100 in 6h, and wants none for 6h: HEAD ",
		},
		"always": {[]string{"Retry-After", "1"}, 6 * 64, ": the registry limits requests: HEAD "},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStrained(t, test.refuse...)
			s.tooFar = func(int, int, time.Time) bool { return true }
			c, _, _ := testClient(t, nil, Options{Limits: Limits{Requests: 64}})
			err := s.ask(t, c, 64)
			if diag.CodeOf(err) != diag.ManifestPullFailed || diag.ExitCode(err) != diag.ExitRetryable || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v", err)
			}
			s.stop() // questions that were taken back may be under way
			if s.asked > test.asked {
				t.Errorf("asked %d times, want at most %d", s.asked, test.asked)
			}
			if name == "always" {
				return
			}
			if err := s.ask(t, c, 64); err == nil || !strings.Contains(err.Error(), "limits requests") {
				t.Errorf("asked once more: %v", err)
			}
		})
	}
}

// TestPace_writes: manifests are written as fast as a registry takes them.
func TestPace_writes(t *testing.T) {
	s := newStrained(t, "Retry-After", "1")
	s.tooFar = func(now, _ int, _ time.Time) bool { return now > 2 }
	c, _, _ := testClient(t, nil, Options{Limits: Limits{Uploads: 32}})
	var wg sync.WaitGroup
	for k := range 200 {
		wg.Go(func() {
			r := c.Repository(Name{s.host, "app"}, ModePush)
			if _, err := r.client.repeat(t.Context(), func(ctx context.Context) (*http.Response, error) {
				return r.session.send(ctx, r.manifestRequest(http.MethodPut, strconv.Itoa(k)))
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s.answered != 200 || s.refused > 30 {
		t.Errorf("%d of %d turned away", s.refused, s.asked)
	}
}

// TestPace_tokens: each repository needs a token of the same strained server. Nobody waits for a place while others wait for the token.
func TestPace_tokens(t *testing.T) {
	s := newStrained(t, "Retry-After", "1")
	s.tokens = true
	s.tooFar = func(now, _ int, _ time.Time) bool { return now > 6 }
	c, _, _ := testClient(t, nil, Options{Limits: Limits{Requests: 64}})
	if err := s.ask(t, c, 500); err != nil {
		t.Fatal(err)
	}
	if s.refused > 150 {
		t.Errorf("%d of %d turned away", s.refused, s.asked)
	}
}

// TestPace_token: the token of a request comes though all places are kept for
// those that were turned away, which may wait for it.
func TestPace_token(t *testing.T) {
	s := newStrained(t)
	s.tooFar = func(int, int, time.Time) bool { return false }
	c, _, _ := testClient(t, nil, Options{})
	r := c.Repository(Name{s.host, "app"}, ModePull)
	r.host.settle("http")
	p := c.paceOf(s.host)
	p.reading.turnedAway = p.reading.most
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	realm := &challenge{params: map[string]string{"realm": "http://" + s.host + "/token"}}
	if got, err := r.session.fetchToken(ctx, realm, nil); err != nil || got.value != "t" {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestPace_others: what is turned away while others are answered is asked
// again until it is answered too, and no longer than all attempts may take.
func TestPace_others(t *testing.T) {
	for turnedAway, wants := range map[int]diag.Code{20: "", 400: diag.ManifestPullFailed} {
		s, asked := newStrained(t, "Retry-After", "1"), 0
		s.only = func(path string) bool {
			if strings.HasSuffix(path, "/tag-1") {
				asked++
				return asked <= turnedAway
			}
			return false
		}
		c, _, p := testClient(t, nil, Options{})
		c.policy.sleep = func(ctx context.Context, d time.Duration) error {
			other := c.paceOf(s.host)
			other.mu.Lock()
			other.answered(&other.reading)
			other.mu.Unlock()
			return p.sleep(ctx, d)
		}
		_, err := c.Repository(Name{s.host, "app"}, ModePull).HeadManifest(t.Context(), "tag-1")
		if diag.CodeOf(err) != wants && (err != nil || wants != "") || wants == "" && asked != turnedAway+1 {
			t.Errorf("asked %d times: %v", asked, err)
		}
	}
}

// TestPace_mirror: a mirror that wants to be left alone is, as long as there is another place.
func TestPace_mirror(t *testing.T) {
	mirror, own := newStrained(t, "Retry-After", "50"), newStrained(t)
	mirror.tooFar = func(int, int, time.Time) bool { return true }
	own.tooFar = func(int, int, time.Time) bool { return false }
	c, _, p := testClient(t, nil, Options{Network: mirrored1{mirror.host, own.host}})
	for k := range 10 {
		if _, err := c.Repository(Name{"up.example", "app"}, ModePull).HeadManifest(t.Context(), fmt.Sprintf("tag-%d", k)); err != nil {
			t.Fatal(err)
		}
	}
	if mirror.asked != 1 || own.asked != 10 || len(p.slept) > 0 {
		t.Errorf("the mirror was asked %d times, the registry %d times; waited %v", mirror.asked, own.asked, p.slept)
	}
}

// mirrored1 has one mirror, and the registry itself.
type mirrored1 struct{ mirror, own string }

func (m mirrored1) Access(Name) (bool, error) { return false, nil }
func (m mirrored1) Places(n Name, _ string) ([]Place, error) {
	return []Place{{Name: Name{m.mirror, n.Repository}}, {Name: Name{m.own, n.Repository}}}, nil
}
func (mirrored1) Certificates(string) (*Certificates, error) { return nil, nil }
func (mirrored1) Helpers() ([]string, error)                 { return nil, nil }

// TestPace_cancelled: who waits for a place stops when nobody wants to know any more.
func TestPace_cancelled(t *testing.T) {
	p := &pace{client: New(Options{})}
	p.widen(1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan struct{})
	go func() {
		_, _ = p.send(ctx, &p.reading, &request{method: http.MethodGet}, func() (*http.Response, error) {
			close(held)
			<-ctx.Done()
			return nil, ctx.Err()
		})
	}()
	<-held
	got := make(chan error)
	go func() {
		_, err := p.send(ctx, &p.reading, &request{method: http.MethodGet}, func() (*http.Response, error) { panic("sent") })
		got <- err
	}()
	for waits := false; !waits; {
		p.mu.Lock()
		waits = p.changed != nil
		p.mu.Unlock()
	}
	cancel()
	if err := <-got; err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
