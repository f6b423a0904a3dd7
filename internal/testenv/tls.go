package testenv

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority is a key with a certificate that signs itself.
type authority struct {
	key  *ecdsa.PrivateKey
	der  []byte
	cert *x509.Certificate
}

// newAuthority makes one for 127.0.0.1 and localhost.
func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "gantry test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IsCA:         true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{key: key, der: der, cert: cert}
}

func (a authority) writeCertificate(t testing.TB, file string) {
	t.Helper()
	writePEM(t, file, "CERTIFICATE", a.der)
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// useTLS gives the registry a certificate and the client its authority.
func (r *Registry) useTLS(dir string) object {
	a := newAuthority(r.t)
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	a.writeCertificate(r.t, cert)
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		r.t.Fatal(err)
	}
	writePEM(r.t, key, "PRIVATE KEY", der)
	r.scheme, r.CAFile, r.Roots = "https", cert, x509.NewCertPool()
	r.Roots.AddCert(a.cert)
	r.client.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.Roots}, ForceAttemptHTTP2: true,
	}
	return object{"certificate": cert, "key": key}
}

// useMutualTLS gives the registry a certificate for a name, and the client one
// of its own, both of one authority.
func (r *Registry) useMutualTLS(dir, name string) object {
	ca := newCompanyCA(r.t)
	file := func(base string) string { return filepath.Join(dir, base) }
	write := func(certFile, keyFile string, template *x509.Certificate) {
		der, key := ca.issue(r.t, template)
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			r.t.Fatal(err)
		}
		writePEM(r.t, certFile, "CERTIFICATE", der)
		writePEM(r.t, keyFile, "PRIVATE KEY", keyDER)
	}
	r.scheme, r.Roots = "https", x509.NewCertPool()
	r.Roots.AddCert(ca.cert)
	r.CAFile, r.CertFile, r.KeyFile = file("ca.crt"), file("client.cert"), file("client.key")
	writePEM(r.t, r.CAFile, "CERTIFICATE", ca.cert.Raw)
	write(file("tls.crt"), file("tls.key"), &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	write(r.CertFile, r.KeyFile, &x509.Certificate{Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	own, err := tls.LoadX509KeyPair(r.CertFile, r.KeyFile)
	if err != nil {
		r.t.Fatal(err)
	}
	r.client.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: r.Roots, Certificates: []tls.Certificate{own}}, ForceAttemptHTTP2: true,
	}
	return object{"certificate": file("tls.crt"), "key": file("tls.key"), "clientcas": []string{r.CAFile}}
}
