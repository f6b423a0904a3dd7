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
