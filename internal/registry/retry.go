package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// retryPolicy says how often and how long what failed is tried again. Its
// clock is replaced in tests.
type retryPolicy struct {
	attempts    int           // of one request
	refused     int           // of one request when nobody listens
	base        time.Duration // of the first pause
	most        time.Duration // of one pause of ours
	mostOrdered time.Duration // of one pause that the server asks for
	budget      time.Duration // of all attempts of one request
	now         func() time.Time
	sleep       func(context.Context, time.Duration) error
	random      func() float64 // in [0, 1)
}

func defaultRetryPolicy(random func() float64) retryPolicy {
	return retryPolicy{
		attempts: 6, refused: 3,
		base: 250 * time.Millisecond, most: 15 * time.Second,
		mostOrdered: time.Minute, budget: 5 * time.Minute,
		now: time.Now, sleep: sleep, random: random,
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pause returns how long to wait before the attempt after the n-th: a random
// time up to a limit that doubles ("full jitter"), so that clients that were
// turned away together do not come back together.
func (p retryPolicy) pause(n int) time.Duration {
	limit := p.most
	if shift := n - 1; shift < 20 && p.base<<shift < p.most {
		limit = p.base << shift
	}
	return time.Duration(p.random() * float64(limit))
}

// attempt is how a try ended.
type attempt struct {
	again bool
	after time.Time // not before; zero when the server said nothing
	few   bool      // nobody listens: ask less often
}

// judge says whether a try is worth repeating.
func (p retryPolicy) judge(res *http.Response, err error) attempt {
	if err == nil {
		if !transient(res.StatusCode) {
			return attempt{}
		}
		after, _ := notBefore(res, p.now())
		return attempt{again: true, after: after}
	}
	var unreachable *unreachableError
	var network *networkError
	switch {
	case errors.As(err, &unreachable):
		return attempt{again: !unreachable.fixed, few: true}
	case errors.As(err, &network):
		return attempt{again: true}
	}
	return attempt{}
}

// trouble says that the n-th try ended so that whoever has another server to
// ask does not wait for this one: nobody listens, it wants to be left alone for
// a time, or it failed twice.
func (a attempt) trouble(n int) bool { return a.few || !a.after.IsZero() || n > 1 }

// repeat calls send until it succeeds or is not worth repeating. It returns
// the last answer or error.
//
// What the server turned away while it answered others is no attempt: it was
// not this request's fault. Nor does the time count that it waited before it
// was sent first.
func (c *Client) repeat(ctx context.Context, send func(context.Context) (*http.Response, error)) (*http.Response, error) {
	ctx, t, end := withTurn(ctx)
	defer end()
	start := c.policy.now()
	for n := 1; ; n++ {
		res, err := send(ctx)
		a := c.policy.judge(res, err)
		if t.moved {
			t.moved = false
			n--
		}
		if !t.began.IsZero() {
			start = t.began
		}
		if !a.again || ctx.Err() != nil || !c.policy.more(n, a) || isImpatient(ctx) && a.trouble(n) {
			return res, err
		}
		if res != nil {
			buffered(res)
		}
		if stop, waited := c.wait(ctx, start, n, a); stop {
			return res, firstError(waited, err)
		}
	}
}

func (p retryPolicy) more(n int, a attempt) bool {
	return n < p.attempts && (!a.few || n < p.refused)
}

// wait pauses before the next attempt. It reports stop when the wait would
// be too long or the context ended.
func (c *Client) wait(ctx context.Context, start time.Time, n int, a attempt) (stop bool, err error) {
	now := c.policy.now()
	d := c.policy.pause(n)
	if ordered := a.after.Sub(now); !a.after.IsZero() && ordered > 0 {
		if ordered > c.policy.mostOrdered {
			return true, nil
		}
		d = ordered + d/4
	}
	if now.Add(d).Sub(start) > c.policy.budget {
		return true, nil
	}
	c.log.DebugContext(ctx, "waiting before the next attempt", "attempt", n+1, "wait", d)
	if err := c.policy.sleep(ctx, d); err != nil {
		return true, err
	}
	return false, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// transient says whether a status is worth another try: the ones of
// distribution clients, and those with which a CDN reports its origin.
func transient(status int) bool {
	switch status {
	case 408, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524:
		return true
	}
	return false
}

// notBefore is when a server wants to be asked again: as it says, or after the
// time that its quota is for when nothing is left of it.
func notBefore(res *http.Response, now time.Time) (time.Time, bool) {
	if at, ok := retryAfter(res.Header.Get("Retry-After"), now); ok {
		return at, true
	}
	if q := quotaOf(res.Header); q.none && res.StatusCode == http.StatusTooManyRequests {
		return now.Add(q.in), true
	}
	return time.Time{}, false
}

// retryAfter reads a Retry-After header, seconds or a date (RFC 9110,
// 10.2.3). A time that is not in the future, or no time at all, does not
// count. More than a year is a year.
func retryAfter(header string, now time.Time) (time.Time, bool) {
	header = strings.TrimSpace(header)
	const year = 365 * 24 * time.Hour
	at, err := http.ParseTime(header)
	if err != nil {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if errors.Is(err, strconv.ErrRange) && seconds > 0 {
			err = nil
		}
		if err != nil {
			return time.Time{}, false
		}
		at = now.Add(time.Duration(max(0, min(seconds, int64(year/time.Second)))) * time.Second)
	}
	if !at.After(now) {
		return time.Time{}, false
	}
	if at.After(now.Add(year)) {
		at = now.Add(year)
	}
	return at, true
}

// classify gives an error of net/http its kind: nobody reached, a refusal of
// ours, the source of an upload, or a connection that broke.
func (c *Client) classify(ctx context.Context, method string, u *url.URL, err error) error {
	var policy *policyError
	if errors.As(err, &policy) {
		return policy
	}
	if isSourceError(err) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	clean := c.cleanError(method, u, err)
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case isFixed(err):
		return &unreachableError{err: clean, fixed: true}
	case errors.As(err, &dns), errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return &unreachableError{err: clean}
	}
	return clean
}

// isFixed knows failures that are the same on every try: a certificate that
// is not trusted, or a server of the other scheme.
func isFixed(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	return isAlert(err) || errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// isAlert knows the refusal of a TLS server, such as for want of a client's
// certificate.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

func unreachableHint(err error) string {
	var dns *net.DNSError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "the registry speaks plain HTTP: name it in DOTNET_CONTAINER_INSECURE_REGISTRIES if that is meant"
	case isAlert(err):
		return "the registry may want a certificate of its clients: NAME.cert and NAME.key in certs.d"
	case isFixed(err):
		return "trust the registry's certificate authority on this machine (on Linux SSL_CERT_FILE also names one)"
	case errors.As(err, &dns):
		return fmt.Sprintf("check the name %q, DNS and the proxy settings", dns.Name)
	}
	return "check the registry's name and port, the network and the proxy settings"
}
