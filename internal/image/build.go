package image

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// FallbackCreated is the creation time of an image without an epoch on a base without a creation time: that of package layers, so that
// the same inputs give the same image on any day.
const FallbackCreated = "2000-01-01T00:00:00Z"

// maxEpoch is the last second of the year 9999, the last that RFC 3339 can write.
const maxEpoch = 253402300799

// ParseEpoch reads SOURCE_DATE_EPOCH: digits only, in seconds since 1970. The SDK ignores what it cannot read, which makes a build
// unrepeatable without a word; here it is GANTRY3001. An empty string is no epoch, and ok is false.
func ParseEpoch(s string) (t time.Time, ok bool, err error) {
	if s == "" {
		return t, false, nil
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return t, false, badEpoch(s)
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > maxEpoch {
		return t, false, badEpoch(s)
	}
	return time.Unix(n, 0).UTC(), true, nil
}

func badEpoch(s string) error {
	return diag.New(diag.InvalidEpoch, fmt.Sprintf("SOURCE_DATE_EPOCH %q is not a number of seconds since 1970", s),
		"use digits only, for example the commit's time")
}

// Changes are what an image does differently from its base.
type Changes struct {
	Start       Start
	Environment *Environment
	Ports       Ports
	Labels      map[string]string
	User        string
	// WorkingDirectory is written as it is; empty keeps the base's.
	WorkingDirectory string
	// Created is RFC 3339.
	Created string
}

// Members of the base that would say something untrue of the new image. The SDK drops all that it does not know; here the unknown
// is kept, and these are not:
var (
	// Who made the base, in which container and with which builder. author is dropped by the SDK, too.
	staleTop = []string{"author", "container", "container_config", "docker_version", "id", "parent", "throwaway"}
	// Cmd is the argument of an entrypoint that is no longer there (the SDK never keeps it). OnBuild is for docker build of images on
	// top of the base: it was due when this one was made, and would run again on top of it. Hostname, Domainname and Image are leftovers
	// of the container that the base was committed from. ArgsEscaped says how Windows reads the base's own command line.
	staleRun = []string{"Cmd", "OnBuild", "Hostname", "Domainname", "Image", "ArgsEscaped"}
)

// Derive returns the configuration of an image on top of c, before its own layers. History is padded, so that it has as many entries
// that stand for a layer as there are layers: bases with a short history exist, and JFrog's registry refuses images where the
// numbers differ (sdk-container-builds#382). Keys are sorted and the bytes are a function of c and ch alone.
func (c *Config) Derive(ch Changes) (json.RawMessage, error) {
	run := maps.Clone(c.run)
	if run == nil {
		run = object{}
	}
	for _, name := range staleRun {
		delete(run, name)
	}
	exposed := map[string]struct{}{}
	for k := range ch.Ports {
		exposed[k] = struct{}{}
	}
	env := ch.Environment.Entries()
	for name, v := range map[string]member{
		"Entrypoint":   {ch.Start.Entrypoint, len(ch.Start.Entrypoint) == 0},
		"Cmd":          {ch.Start.Cmd, len(ch.Start.Cmd) == 0},
		"Env":          {env, len(env) == 0},
		"ExposedPorts": {exposed, len(exposed) == 0},
		"Labels":       {ch.Labels, len(ch.Labels) == 0},
		"User":         {ch.User, ch.User == ""},
	} {
		if err := run.set(name, v); err != nil {
			return nil, err
		}
	}
	if ch.WorkingDirectory != "" {
		if err := run.set("WorkingDir", member{value: ch.WorkingDirectory}); err != nil {
			return nil, err
		}
	}
	top := maps.Clone(c.top)
	for _, name := range staleTop {
		delete(top, name)
	}
	history, err := c.paddedHistory(ch.Created)
	if err != nil {
		return nil, err
	}
	for name, v := range map[string]member{
		"config":  {run, false},
		"created": {ch.Created, false},
	} {
		if err := top.set(name, v); err != nil {
			return nil, err
		}
	}
	return top.encode(c.DiffIDs, history)
}

// encode writes c with other diff IDs and history.
func (c *Config) encode(ids []cas.Digest, history []json.RawMessage) (json.RawMessage, error) {
	return maps.Clone(c.top).encode(ids, history)
}

// encode sets an image's layers and writes the document. There is one way to write them, so that layers can be taken off again and
// leave the same bytes.
func (o object) encode(ids []cas.Digest, history []json.RawMessage) (json.RawMessage, error) {
	if err := o.set("history", member{history, len(history) == 0}); err != nil {
		return nil, err
	}
	if ids == nil {
		ids = []cas.Digest{}
	}
	if err := o.set("rootfs", member{value: map[string]any{"type": "layers", "diff_ids": ids}}); err != nil {
		return nil, err
	}
	return Encode(o)
}

// member is a value for an object; an empty one is left out.
type member struct {
	value any
	empty bool
}

func (o object) set(name string, m member) error {
	if m.empty {
		delete(o, name)
		return nil
	}
	raw, err := Encode(m.value)
	if err != nil {
		return err
	}
	o[name] = raw
	return nil
}

// historyEntry is one entry of history (image-spec, config.md).
type historyEntry struct {
	Author    string `json:"author,omitempty"`
	Comment   string `json:"comment,omitempty"`
	Created   string `json:"created,omitempty"`
	CreatedBy string `json:"created_by,omitempty"`
}

func (c *Config) paddedHistory(created string) ([]json.RawMessage, error) {
	history := c.history
	for i := c.filled; i < len(c.DiffIDs); i++ {
		raw, err := Encode(historyEntry{Created: created, CreatedBy: "gantry: layer of the base image"})
		if err != nil {
			return nil, err
		}
		history = append(history[:len(history):len(history)], raw)
	}
	return history, nil
}

// NewLayer is a layer on top of a base, as far as a configuration knows it. CreatedBy and Comment go to its entry of history.
type NewLayer struct {
	DiffID             cas.Digest
	CreatedBy, Comment string
}

// AddLayers returns the configuration of the finished image: the computed one with the layers' diff IDs, and one entry of history for
// each. Errors are GANTRY2003.
func AddLayers(config json.RawMessage, layers []NewLayer) ([]byte, error) {
	c, err := ParseConfig(config)
	if err != nil {
		return nil, err
	}
	ids, history := c.DiffIDs, c.history
	for _, l := range layers {
		ids = append(ids, l.DiffID)
		raw, err := Encode(historyEntry{Created: c.Created, CreatedBy: l.CreatedBy, Comment: l.Comment})
		if err != nil {
			return nil, err
		}
		history = append(history, raw)
	}
	return c.encode(ids, history)
}
