package registry

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	dialTimeout = 30 * time.Second
	tlsTimeout  = 15 * time.Second
	keepAlive   = 30 * time.Second
	// maxHeader is the most that the headers of an answer may have, in bytes.
	maxHeader = 256 << 10
	// maxRedirects is the most hops of one request.
	maxRedirects = 10
)

// httpClients returns the client that checks certificates and the one for
// insecure registries. Neither keeps cookies.
func httpClients(t http.RoundTripper) (strict, lax *http.Client) {
	if t == nil {
		t = newTransport()
	}
	strict = &http.Client{Transport: t, CheckRedirect: checkRedirect}
	lax = &http.Client{Transport: t, CheckRedirect: checkRedirect}
	if h, ok := t.(*http.Transport); ok {
		h = h.Clone()
		if h.TLSClientConfig == nil {
			h.TLSClientConfig = &tls.Config{}
		}
		// The user has named this registry as one without a valid
		// certificate, or it is this machine.
		h.TLSClientConfig.InsecureSkipVerify = true
		lax.Transport = h
	}
	return strict, lax
}

// newTransport returns the default transport. There is no limit for a whole
// request or for its headers: a large blob takes as long as it takes, and
// what stands still is found by the watchdog of each exchange.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: checkProxyAnswer,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    tlsTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    2 * DefaultParallel,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
		// A blob must arrive byte for byte as it is stored.
		DisableCompression: true,
		// A connection that died without a word is found by pings.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
}

func checkProxyAnswer(_ context.Context, proxy *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusProxyAuthRequired {
		return refuse("the proxy %s asks for credentials: set them in HTTPS_PROXY", proxy.Host)
	}
	return nil
}

// checkRedirect allows a hop to another host, as registries keep blobs in
// object stores, but never with credentials, never from https to http, never
// as another method and never to this machine or to the addresses where
// clouds keep their secrets.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	switch {
	case len(via) > maxRedirects:
		return refuse("more than %d redirects", maxRedirects)
	case req.Method != first.Method:
		return refuse("a redirect would turn %s into %s", first.Method, req.Method)
	}
	if err := checkHop(last.URL, req.URL); err != nil {
		return err
	}
	if firstAuth(via) == "" || !sameOrigin(req.URL, first.URL) || !sameOrigin(last.URL, first.URL) {
		req.Header.Del("Authorization")
	}
	// The address before may carry a signature.
	req.Header.Del("Referer")
	req.Header.Del("Cookie")
	return nil
}

func firstAuth(via []*http.Request) string { return via[0].Header.Get("Authorization") }

// checkHop says whether an answer of the server at from may send the client
// to the address to: by a redirect, an upload's Location or a token realm.
func checkHop(from, to *url.URL) error {
	switch {
	case to.Scheme != "https" && to.Scheme != "http" || to.Host == "":
		return refuse("the registry sends to an address that is neither http nor https")
	case from.Scheme == "https" && to.Scheme == "http":
		return refuse("the registry sends from https to http (%s)", redactURL(to))
	case to.User != nil:
		return refuse("the registry sends to an address with a user in it (%s)", redactURL(to))
	case isForbiddenTarget(to.Host) && !isLoopback(from.Host) && hostOf(from.Host) != hostOf(to.Host):
		return refuse("the registry sends to an address of this machine or network (%s)", redactURL(to))
	}
	return nil
}

// isForbiddenTarget knows the addresses that no registry elsewhere has reason
// to send anybody to: loopback, link-local (cloud metadata) and unspecified.
func isForbiddenTarget(addr string) bool {
	if isLoopback(addr) {
		return true
	}
	ip, err := netip.ParseAddr(hostOf(addr))
	if err != nil {
		return strings.HasSuffix(strings.ToLower(hostOf(addr)), ".localhost")
	}
	ip = ip.Unmap()
	return ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsInterfaceLocalMulticast()
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(withPort(a), withPort(b))
}

func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
