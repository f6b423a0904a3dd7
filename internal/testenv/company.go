package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/tools/recorder"
)

// Front is a registry as companies have one: by a name of its own, with a
// certificate of a private authority, and if asked for one of each client.
type Front struct {
	*recorder.Recorder
	// Name is the registry's, which no name server knows; Addr is where it
	// listens.
	Name, Addr string
	// CAFile is the authority in PEM; CertFile and KeyFile are a client's.
	CAFile, CertFile, KeyFile string
	Roots                     *x509.CertPool
}

// StartFront serves a registry without TLS by a name until the test ends.
// With mutual, clients need a certificate.
func StartFront(t testing.TB, r *Registry, name string, mutual bool) *Front {
	t.Helper()
	proxy, err := recorder.ReverseProxy(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca := newCompanyCA(t)
	f := &Front{
		Recorder: recorder.New(proxy), Name: name, Roots: x509.NewCertPool(),
		CAFile: filepath.Join(dir, "ca.crt"), CertFile: filepath.Join(dir, "client.cert"), KeyFile: filepath.Join(dir, "client.key"),
	}
	writePEM(t, f.CAFile, "CERTIFICATE", ca.cert.Raw)
	f.Roots.AddCert(ca.cert)
	clientDER, clientKey := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	keyDER, err := x509.MarshalPKCS8PrivateKey(clientKey)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, f.CertFile, "CERTIFICATE", clientDER)
	writePEM(t, f.KeyFile, "PRIVATE KEY", keyDER)

	serverDER, serverKey := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	server := httptest.NewUnstartedServer(f.Recorder)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{serverDER}, PrivateKey: serverKey}}}
	if mutual {
		server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, f.Roots
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	f.Addr = server.Listener.Addr().String()
	return f
}

// companyCA issues certificates.
type companyCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCompanyCA(t testing.TB) companyCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := companyCA{key: key}
	der, _ := ca.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "company authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, nil, key)
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return ca
}

func (ca companyCA) issue(t testing.TB, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return ca.sign(t, template, ca.cert, key)
}

func (ca companyCA) sign(t testing.TB, template, parent *x509.Certificate, key *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(365*24*time.Hour)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

// ConnectProxy is a proxy for HTTPS, which knows names that no name server
// has.
type ConnectProxy struct {
	mu    sync.Mutex
	hosts []string
	url   string
}

// StartConnectProxy serves one until the test ends. names has the address of
// each name. A user that is not empty has to log in as "user:password".
func StartConnectProxy(t testing.TB, names map[string]string, user string) *ConnectProxy {
	t.Helper()
	p := &ConnectProxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := net.SplitHostPort(r.Host)
		if user != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(user)) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		addr := names[name]
		if r.Method != http.MethodConnect || addr == "" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		p.mu.Lock()
		p.hosts = append(p.hosts, r.Host)
		p.mu.Unlock()
		p.join(w, addr)
	}))
	t.Cleanup(server.Close)
	p.url = strings.Replace(server.URL, "http://", "http://"+map[bool]string{true: user + "@"}[user != ""], 1)
	return p
}

// join copies both ways until either end closes.
func (p *ConnectProxy) join(w http.ResponseWriter, addr string) {
	there, err := net.Dial("tcp", addr)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	w.WriteHeader(http.StatusOK)
	here, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	go func() {
		_, _ = io.Copy(there, buffered)
		there.Close()
	}()
	_, _ = io.Copy(here, there)
}

// URL is for HTTPS_PROXY, with the user.
func (p *ConnectProxy) URL() string { return p.url }

// Hosts are the "NAME:PORT" that connections were asked for.
func (p *ConnectProxy) Hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.hosts...)
}
