package registry

import (
	"net"
	"net/http"
	"time"
)

// Limits are what a user may change of how registries are spoken to. Zero
// means the default.
type Limits struct {
	// Requests are the questions, Uploads and Downloads the transfers that
	// there may be at once for one registry; the default is Options.Parallel.
	Requests, Uploads, Downloads int
	// Connect is how long a connection may take to come about (30 s), Stall
	// how long one may stand still (60 s).
	Connect, Stall time.Duration
	// Attempts is how often one request is sent at most (6), Wait the longest
	// pause before an attempt that a registry may ask for (1 min), Budget how
	// long all attempts of one request may take (5 min).
	Attempts     int
	Wait, Budget time.Duration
}

// limit applies the limits to a client that has its defaults.
func (c *Client) limit() {
	l := c.limits
	if l.Stall > 0 {
		c.stall = l.Stall
	}
	if l.Attempts > 0 {
		c.policy.attempts = l.Attempts
		c.policy.refused = min(c.policy.refused, l.Attempts)
	}
	if l.Wait > 0 {
		c.policy.mostOrdered, c.policy.most = l.Wait, min(c.policy.most, l.Wait)
	}
	if l.Budget > 0 {
		c.policy.budget = l.Budget
	}
}

// transport is t, or the default one with these limits, which keeps as many connections as there are requests at once.
func (l Limits) transport(t http.RoundTripper, parallel int) http.RoundTripper {
	if t != nil {
		return t
	}
	out := newTransport()
	if l.Connect > 0 {
		out.DialContext = (&net.Dialer{Timeout: l.Connect, KeepAlive: keepAlive}).DialContext
		out.TLSHandshakeTimeout = l.Connect
	}
	out.MaxIdleConnsPerHost = max(out.MaxIdleConnsPerHost, 2*parallel, l.Requests+l.Uploads+l.Downloads)
	return out
}
