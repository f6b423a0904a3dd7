package certsd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/diag"
)

// pair makes a certificate and its key in PEM.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)},
		&x509.Certificate{SerialNumber: big.NewInt(1)}, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", keyDER)
}

func TestLoad(t *testing.T) {
	cert, key := pair(t)
	_, otherKey := pair(t)
	tests := map[string]struct {
		files               map[string]string
		authorities, client int
		want                string // of the error
	}{
		"empty":         {files: map[string]string{}},
		"authorities":   {files: map[string]string{"a.crt": cert, "b.crt": cert + cert, "README": "x"}, authorities: 2},
		"client":        {files: map[string]string{"c.cert": cert, "c.key": key, "d.cert": cert, "d.key": key}, client: 2},
		"both":          {files: map[string]string{"ca.crt": cert, "client.cert": cert, "client.key": key}, authorities: 1, client: 1},
		"no key":        {files: map[string]string{"c.cert": cert}, want: "its key c.key is not there; the certificate of an authority has the ending .crt"},
		"no cert":       {files: map[string]string{"c.key": key}, want: "its certificate c.cert is not there"},
		"other key":     {files: map[string]string{"c.cert": cert, "c.key": otherKey}, want: "private key does not match"},
		"no PEM":        {files: map[string]string{"c.cert": "x", "c.key": key}, want: "failed to find any PEM data"},
		"key elsewhere": {files: map[string]string{"c.cert": cert, "d.key": key}, want: "c.key is not there"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			first, second := t.TempDir(), t.TempDir()
			folder := filepath.Join(second, "reg.example:5000")
			if err := os.Mkdir(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			for file, text := range test.files {
				if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Load([]string{first, second}, "reg.example:5000")
			if test.want != "" {
				if diag.CodeOf(err) != diag.BadCertificates || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), folder) {
					t.Errorf("got %v, want %s", err, test.want)
				}
				return
			}
			if err != nil || len(got.Authorities) != test.authorities || len(got.Client) != test.client || got.Dir != folder {
				t.Errorf("got %+v, %v", got, err)
			}
			// the first folder that there is counts alone
			if err := os.Mkdir(filepath.Join(first, "reg.example:5000"), 0o755); err != nil {
				t.Fatal(err)
			}
			if got, err := Load([]string{first, second}, "reg.example:5000"); err != nil || len(got.Authorities)+len(got.Client) > 0 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	for _, name := range []string{"reg.example", "..", "", "a/b"} {
		if got, err := Load([]string{t.TempDir()}, name); got != nil || err != nil {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
}
