package testenv

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

// Registry is a registry that serves on loopback until the test ends.
type Registry struct {
	t      testing.TB
	host   string
	scheme string
	dir    string
	client *http.Client
	sign   func(*http.Request)
	stop   func()

	// CAFile and Roots are the certificate authority of a registry with
	// TLS; CertFile and KeyFile are a client's, when it wants one.
	CAFile, CertFile, KeyFile string
	Roots                     *x509.CertPool
}

// RegistryOption changes how StartRegistry starts.
type RegistryOption func(*registrySetup)

type registrySetup struct {
	user, password string
	noCache        bool
	tls            bool
	token          *TokenServer
	readOnly       bool
	noDeletes      bool
	clientsOf      string
}

// WithHtpasswd asks for basic authentication.
func WithHtpasswd(user, password string) RegistryOption {
	return func(s *registrySetup) { s.user, s.password = user, password }
}

// WithoutCache turns the blob descriptor cache off: the registry then answers
// by what is on disk, also when a test removes a blob under it.
func WithoutCache() RegistryOption { return func(s *registrySetup) { s.noCache = true } }

// WithTLS serves HTTPS, with HTTP/2, and a certificate for 127.0.0.1 and
// localhost.
func WithTLS() RegistryOption { return func(s *registrySetup) { s.tls = true } }

// WithClientCertificates serves HTTPS by a name, and by 127.0.0.1, to clients
// that have a certificate.
func WithClientCertificates(name string) RegistryOption {
	return func(s *registrySetup) { s.clientsOf = name }
}

// WithoutDeletes is what distribution is without a word about deletes.
func WithoutDeletes() RegistryOption { return func(s *registrySetup) { s.noDeletes = true } }

// WithToken asks for bearer tokens of a token server.
func WithToken(server *TokenServer) RegistryOption {
	return func(s *registrySetup) { s.token = server }
}

// WithReadOnly refuses all writes with 405.
func WithReadOnly() RegistryOption { return func(s *registrySetup) { s.readOnly = true } }

var registryReady = regexp.MustCompile(`listening on (?:127\.0\.0\.1):(\d+)`)

// StartRegistry starts Debian's docker-registry, with storage of its own, on
// a port that the kernel chooses. It answers when StartRegistry returns.
func StartRegistry(t testing.TB, options ...RegistryOption) *Registry {
	t.Helper()
	Require(t, "docker-registry")
	var s registrySetup
	for _, o := range options {
		o(&s)
	}
	dir := t.TempDir()
	r := &Registry{t: t, scheme: "http", dir: filepath.Join(dir, "storage"), client: &http.Client{}}
	r.sign = unsigned
	config, err := json.Marshal(r.config(s, dir)) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := Look("docker-registry")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"}
	svc, match := startService(t, cmd, registryReady)
	r.host, r.stop = "127.0.0.1:"+match[1], svc.stop
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

// unsigned is for registries without authentication.
func unsigned(*http.Request) {}

// onceOnly makes a stop function that may be called again.
func onceOnly(stop func()) func() {
	var once sync.Once
	return func() { once.Do(stop) }
}

type object map[string]any

// config is the registry's configuration (distribution 2.8,
// configuration.md).
func (r *Registry) config(s registrySetup, dir string) object {
	storage := object{
		"filesystem": object{"rootdirectory": r.dir},
		"delete":     object{"enabled": !s.noDeletes},
	}
	if !s.noCache {
		storage["cache"] = object{"blobdescriptor": "inmemory"}
	}
	if s.readOnly {
		storage["maintenance"] = object{"readonly": object{"enabled": true}}
	}
	server := object{"addr": "127.0.0.1:0", "secret": "of no worth"}
	if s.tls {
		server["tls"] = r.useTLS(dir)
	}
	if s.clientsOf != "" {
		server["tls"] = r.useMutualTLS(dir, s.clientsOf)
	}
	config := object{
		"version": "0.1",
		"log":     object{"level": "info"},
		"storage": storage,
		"http":    server,
		// without this line manifests with foreign layers are refused
		"validation": object{"manifests": object{"urls": object{"allow": []string{"^https?://"}}}},
	}
	if s.user != "" {
		config["auth"] = r.useHtpasswd(s, dir)
	}
	if s.token != nil {
		config["auth"] = s.token.config(dir)
		r.sign = s.token.sign
	}
	return config
}

func (r *Registry) useHtpasswd(s registrySetup, dir string) object {
	hash, err := bcrypt.GenerateFromPassword([]byte(s.password), bcrypt.MinCost)
	if err != nil {
		r.t.Fatal(err)
	}
	file := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(file, []byte(s.user+":"+string(hash)+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.sign = func(req *http.Request) { req.SetBasicAuth(s.user, s.password) }
	return object{"htpasswd": object{"realm": "test", "path": file}}
}

// Host is "127.0.0.1:PORT".
func (r *Registry) Host() string { return r.host }

// LocalHost is "localhost:PORT", the same registry by another name.
func (r *Registry) LocalHost() string { return strings.Replace(r.host, "127.0.0.1", "localhost", 1) }

// URL is the scheme and Host.
func (r *Registry) URL() string { return r.scheme + "://" + r.host }

// Dir is the storage folder.
func (r *Registry) Dir() string { return r.dir }

// Stop ends the registry before the test's end: nothing listens on its port
// any more.
func (r *Registry) Stop() { r.stop() }

// Client talks to the registry: with its certificate authority, without
// credentials.
func (r *Registry) Client() *http.Client { return r.client }

// Target is for pushing with basemaker, with credentials.
func (r *Registry) Target() basemaker.Target {
	return basemaker.Target{URL: r.URL(), Client: r.client, Prepare: r.sign}
}

// Get asks for a path such as "/v2/app/tags/list", with credentials, and
// returns status, headers and body.
func (r *Registry) Get(path string) (int, http.Header, []byte) {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodGet, r.URL()+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range []string{
		basemaker.OCIManifest, basemaker.OCIIndex, basemaker.DockerImage, basemaker.DockerList,
	} {
		req.Header.Add("Accept", m)
	}
	r.sign(req)
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, res.Header, body
}

// Tags are the tags of a repository, sorted; none for a repository that is
// not there.
func (r *Registry) Tags(repository string) []string {
	r.t.Helper()
	code, _, body := r.Get("/v2/" + repository + "/tags/list")
	if code == http.StatusNotFound {
		return nil
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(body, &list); err != nil || code != http.StatusOK {
		r.t.Fatalf("tags of %s: %d %s", repository, code, body)
	}
	slices.Sort(list.Tags)
	return list.Tags
}

// Manifest is a manifest by tag or digest: media type, digest, body. The test
// fails when it is not there.
func (r *Registry) Manifest(repository, reference string) (mediaType, digest string, body []byte) {
	r.t.Helper()
	code, h, body := r.Get("/v2/" + repository + "/manifests/" + reference)
	if code != http.StatusOK {
		r.t.Fatalf("manifest %s of %s: %d %s", reference, repository, code, body)
	}
	return h.Get("Content-Type"), h.Get("Docker-Content-Digest"), body
}

// Blob is a blob's content. The test fails when it is not there.
func (r *Registry) Blob(repository, digest string) []byte {
	r.t.Helper()
	code, _, body := r.Get("/v2/" + repository + "/blobs/" + digest)
	if code != http.StatusOK {
		r.t.Fatalf("blob %s of %s: %d", digest, repository, code)
	}
	return body
}

// blobFile is where distribution keeps a blob, or olareg.
var blobFile = regexp.MustCompile(`/blobs/sha256/(?:[0-9a-f]{2}/)?([0-9a-f]{64})(?:/data)?$`)

// BlobCount is the number of different blobs in the storage, manifests among
// them.
func (r *Registry) BlobCount() int {
	r.t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(r.dir, func(path string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // nothing was pushed yet, or it went away meanwhile
		}
		if err != nil || e.IsDir() {
			return err
		}
		if m := blobFile.FindStringSubmatch(filepath.ToSlash(path)); m != nil {
			seen[m[1]] = true
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return len(seen)
}

// BlobFile is the file in the storage of docker-registry that holds a blob,
// for tests that damage it.
func (r *Registry) BlobFile(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join(r.dir, "docker", "registry", "v2", "blobs", "sha256", hex[:2], hex, "data")
}

// Reference is "HOST/REPOSITORY:TAG" or "HOST/REPOSITORY@DIGEST".
func (r *Registry) Reference(repository, tagOrDigest string) string {
	if strings.HasPrefix(tagOrDigest, "sha256:") {
		return fmt.Sprintf("%s/%s@%s", r.host, repository, tagOrDigest)
	}
	return fmt.Sprintf("%s/%s:%s", r.host, repository, tagOrDigest)
}
