package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

// Config is the configuration of an image (image-spec, config.md), read for what Gantry has to know and otherwise kept raw.
type Config struct {
	Platform Platform
	// Created is RFC 3339 as the document has it; empty when it has no time or none that can be read.
	Created string
	// DiffIDs are the digests of the uncompressed layers, lowest first.
	DiffIDs []cas.Digest
	// Entrypoint, User, Environment, Ports and Labels are the members of "config" of these names.
	Entrypoint  []string
	User        string
	Environment *Environment
	Ports       Ports
	Labels      map[string]string

	top     object
	run     object // the member "config"
	history []json.RawMessage
	filled  int // history entries that stand for a layer
}

// ParseConfig reads a configuration. A missing member "config" counts as an empty one, as image-spec allows (the SDK fails there).
// Errors are GANTRY2003.
func ParseConfig(body []byte) (*Config, error) {
	c := &Config{}
	if err := c.parse(body); err != nil {
		return nil, coded(diag.InvalidBaseConfig, err, "the base image's configuration is not valid")
	}
	return c, nil
}

func (c *Config) parse(body []byte) (err error) {
	if c.top, err = parseDocument(body, MaxConfigBytes); err != nil {
		return err
	}
	if c.Platform, err = parsePlatform(c.top); err != nil {
		return err
	}
	if c.Platform.OS == "" || c.Platform.Architecture == "" {
		return errors.New(`it lacks "os" or "architecture"`)
	}
	if c.Created, err = c.top.text("created"); err != nil {
		return err
	}
	if _, err := time.Parse(time.RFC3339, c.Created); err != nil {
		c.Created = ""
	}
	if err := c.parseRootFS(); err != nil {
		return err
	}
	if err := c.parseHistory(); err != nil {
		return err
	}
	return c.parseRun()
}

func (c *Config) parseRootFS() error {
	fs, err := c.top.object("rootfs")
	if err != nil {
		return err
	}
	if fs == nil {
		return errors.New(`"rootfs" is missing`)
	}
	if t, err := fs.text("type"); err != nil || t != "layers" {
		return errors.New(`"rootfs" is not of the type layers`)
	}
	ids, err := fs.texts("diff_ids")
	if err != nil {
		return err
	}
	for _, id := range ids {
		d, err := cas.ParseDigest(id)
		if err != nil {
			return fmt.Errorf("diff_ids: %w", err)
		}
		c.DiffIDs = append(c.DiffIDs, d)
	}
	return nil
}

func (c *Config) parseHistory() (err error) {
	if c.history, err = c.top.list("history"); err != nil {
		return err
	}
	for i, raw := range c.history {
		o, err := asObject(raw)
		if err != nil {
			return fmt.Errorf("history %d: %w", i, err)
		}
		empty := false
		if o.has("empty_layer") {
			if err := json.Unmarshal(o["empty_layer"], &empty); err != nil {
				return fmt.Errorf(`history %d: "empty_layer" is not true or false`, i)
			}
		}
		if !empty {
			c.filled++
		}
	}
	return nil
}

func (c *Config) parseRun() (err error) {
	if c.run, err = c.top.object("config"); err != nil {
		return err
	}
	if c.Entrypoint, err = c.run.texts("Entrypoint"); err != nil {
		return err
	}
	if c.User, err = c.run.text("User"); err != nil {
		return err
	}
	env, err := c.run.texts("Env")
	if err != nil {
		return err
	}
	c.Environment = ParseEnvironment(env)
	ports, err := c.run.object("ExposedPorts")
	if err != nil {
		return err
	}
	keys := make([]string, 0, len(ports))
	for k := range ports {
		keys = append(keys, k)
	}
	c.Ports = ParsePorts(keys)
	if c.Labels, err = c.run.textMap("Labels"); c.Labels == nil {
		c.Labels = map[string]string{}
	}
	return err
}
