package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"
)

// questions is how many are asked at once.
const questions = 8

// dockerSocket is where Docker listens when nothing else is said.
const dockerSocket = "/var/run/docker.sock"

func isSocket(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode()&fs.ModeSocket != 0
}

// api is an engine over Docker's HTTP interface (docs.docker.com, Engine API), without a version in the path: what is used here is the
// same in all of them.
type api struct {
	base   string
	client *http.Client
}

// dockerPort is that of Docker without TLS, when DOCKER_HOST names none.
const dockerPort = ":2375"

// newAPI reads a value of DOCKER_HOST (docker/cli, opts/hosts.go): nil for one that is spoken to in another way (ssh, npipe) or that is
// empty.
func newAPI(host string) *api {
	scheme, rest, found := strings.Cut(host, "://")
	if !found {
		scheme, rest = "tcp", host
	}
	t := &http.Transport{DisableCompression: true}
	switch {
	case rest == "" && scheme == "unix":
		rest = dockerSocket
		fallthrough
	case scheme == "unix":
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", rest)
		}
		return &api{"http://engine", &http.Client{Transport: t}}
	case rest != "" && (scheme == "tcp" || scheme == "http"):
		rest, path, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
		if strings.LastIndexByte(rest, ':') <= strings.LastIndexByte(rest, ']') && scheme == "tcp" {
			rest += dockerPort
		}
		if path != "" {
			rest += "/" + path
		}
		return &api{"http://" + rest, &http.Client{Transport: t}}
	}
	return nil
}

// do sends a request and gives the answer when its status is one of 2xx; the caller closes its body.
func (a *api) do(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	u := a.base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-tar")
	}
	res, err := a.client.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, &absent{op}
		}
		return nil, err
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, maxSaid))
	return nil, &statusError{res.StatusCode, message(said)}
}

type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("it answered %d: %s", e.status, e.text) }

func message(body []byte) string {
	var m struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &m) == nil && m.Message != "" {
		return m.Message
	}
	return strings.TrimSpace(string(body))
}

// answer decodes a JSON answer.
func (a *api) answer(ctx context.Context, path string, v any) error {
	res, err := a.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(v)
}

func (a *api) inspect(ctx context.Context, name string) (*found, error) {
	var f found
	err := a.answer(ctx, "/images/"+name+"/json", &f)
	if status, ok := err.(*statusError); ok && status.status == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &f, nil
}

func (a *api) all(ctx context.Context) ([]found, error) {
	var list []struct{ ID string }
	if err := a.answer(ctx, "/images/json", &list); err != nil {
		return nil, err
	}
	list = list[:min(len(list), maxImages)]
	out := make([]found, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(questions)
	for i, l := range list {
		group.Go(func() error {
			f, err := a.inspect(ctx, l.ID)
			if f != nil {
				out[i] = *f
			}
			return err
		})
	}
	return out, group.Wait()
}

func (a *api) load(ctx context.Context, write func(io.Writer) error) error {
	r, w := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := write(w)
		w.CloseWithError(err) // an error ends the request's body before its end: the engine sees that
		failed <- err
	}()
	res, err := a.do(ctx, http.MethodPost, "/images/load", url.Values{"quiet": {"1"}}, unread{r})
	if err == nil {
		err = loadFailure(res.Body)
		res.Body.Close()
	}
	r.CloseWithError(errNoAnswer)
	if reason := <-failed; reason != nil && !errors.Is(reason, errNoAnswer) {
		return reason
	}
	return err
}

// unread is a request's body that the client closes before its end when the engine answers early or goes away: the reason is then what the
// engine said, and not that nothing can be written any more.
type unread struct{ *io.PipeReader }

func (u unread) Close() error { return u.CloseWithError(errNoAnswer) }

// loadFailure reads the lines of an answer: Docker says 200 before it knows how it ends.
func loadFailure(r io.Reader) error {
	d := json.NewDecoder(io.LimitReader(r, maxAnswer))
	for {
		var line struct {
			Error string `json:"error"`
		}
		switch err := d.Decode(&line); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case line.Error != "":
			return fmt.Errorf("%s", line.Error)
		}
	}
}

func (a *api) tag(ctx context.Context, id, name string) error {
	repository, tag := name, "latest"
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		repository, tag = name[:i], name[i+1:]
	}
	res, err := a.do(ctx, http.MethodPost, "/images/"+id+"/tag", url.Values{"repo": {repository}, "tag": {tag}}, nil)
	if err == nil {
		res.Body.Close()
	}
	return err
}

func (a *api) save(ctx context.Context, name string, _ bool, w io.Writer) error {
	res, err := a.do(ctx, http.MethodGet, "/images/"+name+"/get", nil, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(w, res.Body)
	return err
}

func (a *api) info(ctx context.Context) (*info, error) {
	res, err := a.do(ctx, http.MethodGet, "/info", nil, nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return parseInfo(data)
}
