package runner

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/gantry-build/gantry/internal/records"
	"github.com/gantry-build/gantry/internal/registry"
	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/recall"
)

// recallFile is the name of recall's response, beside its request.
const recallFile = "recall.json"

func recallImage() Stage {
	return typed(Stage{
		Name:     recall.Stage,
		Summary:  "reads what the last image says of itself, so that a fresh machine makes only what differs",
		Reads:    "the destination's tags and the references of cacheFrom, until one has an image that Gantry made",
		Writes:   "the image's base, configuration and layers with their keys; its manifest and configuration go to the content store",
		RunsWhen: "a stage would have to fetch or make what an earlier image may have, at most once in a build",
	}, func(ctx context.Context, env *Env, _ string, req *recall.Request) (*tasks.Recalled, error) {
		return recall.Run(ctx, recall.Deps{
			Repository: func(n registry.Name, m registry.Mode) recall.Repository { return env.Registry.Repository(n, m) },
			Store:      env.Store, Records: records.Of(env.Store), Log: env.Log, Build: env.BuildID,
		}, req)
	})
}

// recalls are the answers of recall in this process, by the request's path.
type recalls struct {
	mu   sync.Mutex
	done map[string]*tasks.Recalled
}

// recaller asks for an earlier image on behalf of other stages, at most once in a build: this process remembers the answer, and the
// other processes of the build find it in a file.
type recaller struct {
	env  *Env
	path string // of the request
	req  Request
	read []tasks.FileDigest
}

// recaller reads the request at path and checks it, so that a setting that cannot be used is an error also where nothing has to be
// asked. It is nil when path is empty.
func (env *Env) recaller(path string) (*recaller, error) {
	if path == "" {
		return nil, nil
	}
	r := &recaller{env: env, path: absolute(env.Dir, path)}
	var err error
	if r.req, r.read, err = recallImage().load(env, r.path); err != nil {
		return nil, err
	}
	return r, validate(r.req)
}

// ask returns the function that stages call; nil when there is nothing to ask.
func (r *recaller) ask() func(context.Context) (*tasks.Recalled, error) {
	if r == nil {
		return nil
	}
	return r.recall
}

// trusted is ask for what is taken as the image says it, without proof: a base, a configuration.
func (r *recaller) trusted() func(context.Context) (*tasks.Recalled, error) {
	if r == nil || r.env.MakeLayers {
		return nil
	}
	return r.recall
}

// recall returns what was answered in this build, else asks.
func (r *recaller) recall(ctx context.Context) (*tasks.Recalled, error) {
	memo := &r.env.recalls
	memo.mu.Lock()
	defer memo.mu.Unlock()
	if known := r.known(); known != nil {
		return known, nil
	}
	resp, err := recallImage().run(ctx, r.env, filepath.Dir(r.path), r.req)
	if err != nil {
		return nil, err
	}
	finish(recall.Stage, resp, filepath.Dir(r.path), r.read)
	answer := resp.(*tasks.Recalled)
	if memo.done == nil {
		memo.done = map[string]*tasks.Recalled{}
	}
	memo.done[r.path] = answer
	data, err := encode(resp)
	if err == nil {
		err = write(r.env, r.file(), data)
	}
	if err != nil { // the next process of this build asks again
		r.env.Log.Debug("what was recalled is not kept", "reason", err.Error())
	}
	return answer, nil
}

// cheap says whether recall was done in this build already.
func (r *recaller) cheap() bool {
	if r == nil {
		return false
	}
	r.env.recalls.mu.Lock()
	defer r.env.recalls.mu.Unlock()
	return r.known() != nil
}

func (r *recaller) file() string { return filepath.Join(filepath.Dir(r.path), recallFile) }

// known is the answer that this process or another of the same build got for the same request.
func (r *recaller) known() *tasks.Recalled {
	if known := r.env.recalls.done[r.path]; known != nil {
		return known
	}
	if r.env.BuildID == "" {
		return nil
	}
	data, err := os.ReadFile(r.file())
	var found tasks.Recalled
	if err != nil || json.Unmarshal(data, &found) != nil || found.Stage != recall.Stage || found.SchemaVersion != tasks.SchemaVersion ||
		found.Build != r.env.BuildID {
		return nil
	}
	for _, in := range r.read { // the answer to another question is none
		if !slices.Contains(found.Inputs, tasks.FileDigest{Path: below(filepath.Dir(r.path), in.Path), Digest: in.Digest}) {
			return nil
		}
	}
	return &found
}
