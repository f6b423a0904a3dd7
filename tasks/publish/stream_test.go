package publish

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/progress"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/runner"
)

// patience is how long a test waits for what has to happen.
const patience = time.Minute

// streamed is a folder with two layers, a registry, and a proxy before it.
type streamed struct {
	env   *runner.Env
	proxy *testenv.Proxy
	o     Options
	said  func(line string) // is told of each line of the log, and may hold it up
}

// Enabled implements slog.Handler, as do the next three.
func (s *streamed) Enabled(context.Context, slog.Level) bool { return true }

func (s *streamed) Handle(_ context.Context, r slog.Record) error {
	if s.said != nil {
		s.said(r.Message)
	}
	return nil
}

func (s *streamed) WithAttrs([]slog.Attr) slog.Handler { return s }
func (s *streamed) WithGroup(string) slog.Handler      { return s }

func newStreamed(t *testing.T) *streamed {
	t.Helper()
	reg := testenv.StartRegistry(t)
	testenv.PushTinyBase(t, reg, "base", "1", basemaker.TinyOptions{})
	s := &streamed{proxy: testenv.StartProxy(t, reg)}
	s.env = &runner.Env{
		Dir: t.TempDir(), Stdin: &bytes.Buffer{}, Stdout: &bytes.Buffer{}, Store: cas.Open(filepath.Join(t.TempDir(), "store")),
		Registry: registry.New(registry.Options{}), Log: slog.New(s), Progress: progress.Discard{}, Warn: func(diag.Code, string) {},
	}
	s.o = Options{
		Folder: folder(t, map[string]string{"shop": "the app", "models/a.bin": "a model"}), To: s.proxy.Host() + "/shop", Tags: []string{"1"},
		Base: s.proxy.Host() + "/base:1", Entrypoint: []string{"/app/shop"}, OwnLayers: []string{"models=models/**"},
	}
	return s
}

func (s *streamed) run(t *testing.T) (cas.Digest, error) {
	t.Helper()
	return Run(t.Context(), s.env, s.o)
}

// within fails the test when something does not happen.
func within(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(patience):
		t.Errorf("%s did not happen", what)
	}
}

// seen returns a channel that is closed when a request of this kind comes to the destination.
func (s *streamed) seen(method string, fault *testenv.Fault) <-chan struct{} {
	ch, open := make(chan struct{}), true
	s.proxy.Inject(func(r *http.Request) *testenv.Fault {
		if r.Method != method || !strings.Contains(r.URL.Path, "/shop/blobs/uploads/") {
			return nil
		}
		if open {
			close(ch)
		}
		open = false
		return fault
	})
	return ch
}

// TestStream: the upload of the first layer begins before the second is finished. Without a stream nothing would be sent before both
// are, and the log's line of the second would wait for ever.
func TestStream(t *testing.T) {
	s := newStreamed(t)
	began := s.seen(http.MethodPost, nil)
	made := 0
	lines := make(chan struct{}, 1) // layers are made side by side
	s.said = func(line string) {
		if !strings.HasPrefix(line, "made layer") {
			return
		}
		lines <- struct{}{}
		made++
		second := made == 2
		<-lines
		if second {
			within(t, "the first upload", began)
		}
	}
	digest, err := s.run(t)
	if err != nil || made != 2 {
		t.Fatalf("%v, %d layers", err, made)
	}
	if _, got, _ := s.proxy.Registry().Manifest("shop", "1"); got != string(digest) {
		t.Errorf("the tag names %s, want %s", got, digest)
	}
	sent := map[string]int{}
	for _, r := range s.proxy.Requests() {
		if r.Method == http.MethodPut && strings.Contains(r.Path, "/blobs/uploads/") {
			sent[r.Query[strings.Index(r.Query, "digest="):]]++
		}
	}
	if len(sent) != 3 { // two layers and the configuration
		t.Errorf("sent were %v", sent)
	}
	for d, n := range sent {
		if n != 1 {
			t.Errorf("%s was sent %d times", d, n)
		}
	}
}

// TestStream_refused: an upload that fails is the publish's failure, and no tag is written.
func TestStream_refused(t *testing.T) {
	s := newStreamed(t)
	s.seen(http.MethodPut, &testenv.Fault{Status: http.StatusForbidden})
	if _, err := s.run(t); err == nil || diag.CodeOf(err) == diag.Internal {
		t.Errorf("got %v, want a coded error", err)
	}
	if tags := s.proxy.Registry().Tags("shop"); len(tags) != 0 {
		t.Errorf("tags %v", tags)
	}
}

// TestStream_end: when the publish fails, what is under way is given up and taken back.
func TestStream_end(t *testing.T) {
	s := newStreamed(t)
	set, err := settle(s.env, s.o)
	if err != nil {
		t.Fatal(err)
	}
	b := &build{env: s.env, dir: t.TempDir(), settings: set}
	never := make(chan struct{})
	t.Cleanup(func() { close(never) }) // the proxy does not notice that a client gave up before its body was read
	began := s.seen(http.MethodPut, &testenv.Fault{Wait: never})
	digest, err := s.env.Store.PutBytes([]byte("a layer"))
	if err != nil {
		t.Fatal(err)
	}
	stream := b.newStream(t.Context())
	stream.made(tasks.Layer{Descriptor: tasks.Descriptor{Digest: digest, Size: 7}})
	within(t, "the upload", began)
	ended := make(chan struct{})
	go func() {
		stream.end()
		close(ended)
	}()
	within(t, "the end", ended)
	if n := s.proxy.Registry().BlobCount(); n != 5 { // those of the base
		t.Errorf("%d blobs", n)
	}
	last := s.proxy.Requests()
	if n := len(last); n == 0 || last[n-1].Method != http.MethodDelete {
		t.Errorf("the upload was not taken back:\n%s", s.proxy.Log())
	}
}

// TestStream_nothingToSend: layers that the destination has are neither sent nor asked for, and a dry run sends none.
func TestStream_nothingToSend(t *testing.T) {
	s := newStreamed(t)
	dry := s.o
	dry.DryRun = true
	if _, err := Run(t.Context(), s.env, dry); err != nil {
		t.Fatal(err)
	}
	if n := s.proxy.Counts().Up; n != 0 {
		t.Errorf("%d bytes up", n)
	}
	if _, err := s.run(t); err != nil {
		t.Fatal(err)
	}
	s.proxy.Reset()
	s.o.Environment = []string{"A=b"} // another configuration, the same layers
	if _, err := s.run(t); err != nil {
		t.Fatal(err)
	}
	// base, tag, digest, two for the configuration, the manifest
	if n := len(s.proxy.Requests()); n != 6 {
		t.Errorf("%d requests, want 6\n%s", n, s.proxy.Log())
	}
}
