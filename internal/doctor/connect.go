package doctor

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/registry"
)

const (
	// maxClock is how far the registry's clock may be from ours: tokens begin to be valid when they are made.
	maxClock = 30 * time.Second
	// soon is when a certificate's end is worth a word.
	soon = 30 * 24 * time.Hour
)

// connect asks the registry's root, and reports whether anything else is worth a try.
func (v *visit) connect() bool {
	answer, saw := v.ask(registry.Ask{Method: http.MethodGet, Root: true})
	if answer == nil {
		v.add("connection", Failed, saw, "no image can be read or written; the certificates of a private authority belong into certs.d, and the proxy into HTTPS_PROXY")
		return false
	}
	login, err := v.repo.Login(v.ctx)
	if err != nil {
		v.add("connection", Failed, err.Error(), "")
		return false
	}
	via := ""
	if u, err := v.proxy(&http.Request{URL: &url.URL{Scheme: login.Scheme, Host: v.name.Registry}}); err == nil && u != nil {
		via = " through the proxy " + u.Host
	}
	v.add("connection", OK, fmt.Sprintf("%s://%s%s, %s, %d ms", login.Scheme, v.name.Registry, via, answer.Proto, answer.Took.Milliseconds()), "")
	v.certificate(answer.TLS, login)
	v.clock(answer)
	return v.account(answer, saw, login)
}

func (v *visit) certificate(state *tls.ConnectionState, login registry.Login) {
	if state == nil || len(state.PeerCertificates) == 0 {
		means := "everything, credentials too, can be read and changed on its way"
		if login.Insecure {
			means += "; allowed, as the registry is this machine or named as insecure"
		}
		v.add("certificate", No, "plain HTTP", means)
		return
	}
	leaf := state.PeerCertificates[0]
	saw := fmt.Sprintf("%s, %s, until %s, issued by %s", tls.VersionName(state.Version), leaf.Subject, leaf.NotAfter.UTC().Format(time.DateOnly), leaf.Issuer)
	switch left := time.Until(leaf.NotAfter); {
	case len(state.VerifiedChains) == 0:
		v.add("certificate", No, saw+"; not verified", "the registry is this machine or named as insecure, so that anybody may answer in its name: better put the certificate of its authority into certs.d")
	case left < soon:
		v.add("certificate", OK, saw, fmt.Sprintf("publishes will fail in %d days", int(left.Hours()/24)))
	default:
		var chain []string
		for _, c := range state.VerifiedChains[0][1:] {
			chain = append(chain, c.Subject.String())
		}
		if len(chain) > 0 {
			saw += "; trusted by " + strings.Join(chain, ", ")
		}
		v.add("certificate", OK, saw, "")
	}
}

func (v *visit) clock(answer *registry.Answer) {
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		v.add("clock", Skipped, "no Date header", "")
		return
	}
	// The header has whole seconds, cut off.
	ahead := time.Until(date.Add(time.Second / 2)).Round(time.Second)
	if ahead.Abs() > maxClock {
		v.add("clock", No, fmt.Sprintf("the registry's clock is %s from ours", ahead), "tokens may be refused as not yet or no longer valid: set this machine's clock, or the registry's")
		return
	}
	v.add("clock", OK, fmt.Sprintf("%s apart", ahead.Abs()), "")
}

func (v *visit) account(answer *registry.Answer, saw string, login registry.Login) bool {
	who := "nobody (no credentials found)"
	if login.From != "" {
		who = "the account from " + login.From
	}
	if login.Problem != "" {
		who += "; " + login.Problem
	}
	how := login.Challenge
	if login.Realm != "" {
		how += " token of " + login.Realm
	}
	switch {
	case is(answer, http.StatusUnauthorized, http.StatusForbidden):
		v.add("authentication", Failed, saw+", "+who, "docker login, or set DOTNET_CONTAINER_REGISTRY_UNAME and _PWORD")
		return false
	case login.Challenge == "":
		v.add("authentication", OK, "the registry asks for none", "")
	default:
		v.add("authentication", OK, how+", "+who, "")
	}
	return true
}

// absent asks for what cannot be there.
func (v *visit) absent() {
	probe := func(name, path string) {
		answer, saw := v.ask(registry.Ask{Method: http.MethodHead, Path: path, Header: accept()})
		switch {
		case is(answer, http.StatusNotFound):
			v.add(name, OK, saw, "")
		case is(answer, http.StatusUnauthorized, http.StatusForbidden):
			v.add(name, No, saw, "what is not there, or may not be seen, is refused: it counts as absent, and nothing is skipped that the account may not see")
		case is(answer, http.StatusOK):
			v.add(name, Failed, saw, "the registry says that it has what it cannot have: a proxy or a login page may answer in its place")
		default:
			v.add(name, No, saw, "is asked again with GET")
		}
	}
	probe("absent manifest", "manifests/"+v.tag("-absent"))
	probe("absent blob", "blobs/"+absentDigest(v.id))
}

func accept() http.Header {
	return http.Header{"Accept": {strings.Join([]string{registry.OCIManifest, registry.OCIIndex, registry.DockerManifest, registry.DockerIndex}, ", ")}}
}
