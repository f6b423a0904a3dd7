package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// maxConfig is the largest configuration file that is read, in bytes.
const maxConfig = 4 << 20

// configSource is a place where Docker's or Podman's credentials may be.
type configSource struct {
	name   string // for messages
	path   string
	text   string // the document itself, when it is in a variable
	legacy bool   // it has the entries of auths and nothing around them
}

// podmanFile is where Podman, Buildah and Skopeo keep accounts when there is no
// XDG_RUNTIME_DIR, as in a container or a CI job of root; %d is the user
// (containers/image, pkg/docker/config).
var podmanFile = "/run/containers/%d/auth.json"

// configSources lists the places in the order in which they are asked: Docker's
// first, as it always was, then Podman's (containers-auth.json(5)).
func configSources(getenv func(string) string) []configSource {
	var out []configSource
	add := func(parts ...string) {
		if parts[0] == "" {
			return
		}
		p := filepath.Join(parts...)
		out = append(out, configSource{name: p, path: p})
	}
	if text := getenv("DOCKER_AUTH_CONFIG"); text != "" {
		out = append(out, configSource{name: "DOCKER_AUTH_CONFIG", text: text})
	}
	home := homeDir(getenv)
	if dir := getenv("DOCKER_CONFIG"); dir != "" {
		add(dir, "config.json")
	} else {
		add(home, ".docker", "config.json")
	}
	add(getenv("REGISTRY_AUTH_FILE"))
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		add(dir, "containers", "auth.json")
	} else if runtime.GOOS == "linux" {
		add(fmt.Sprintf(podmanFile, os.Getuid()))
	}
	if dir := getenv("XDG_CONFIG_HOME"); dir != "" {
		add(dir, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	if home != "" { // Docker's before 1.7, which Podman still reads
		p := filepath.Join(home, ".dockercfg")
		out = append(out, configSource{name: p, path: p, legacy: true})
	}
	return out
}

func homeDir(getenv func(string) string) string {
	if runtime.GOOS == "windows" {
		return getenv("USERPROFILE")
	}
	return getenv("HOME")
}

// dockerConfig is the part of Docker's config.json and Podman's auth.json
// that concerns credentials (docker/cli, cli/config/configfile).
type dockerConfig struct {
	Auths       map[string]authEntry `json:"auths"`
	CredHelpers map[string]string    `json:"credHelpers"`
	CredsStore  string               `json:"credsStore"`
}

type authEntry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// load reads the source. A file that is not there is an empty configuration.
// Errors name the place and never quote the content.
func (s configSource) load() (*dockerConfig, error) {
	data := []byte(s.text)
	if s.path != "" {
		info, err := os.Stat(s.path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
			return &dockerConfig{}, nil
		}
		if err == nil && info.Size() > maxConfig {
			err = errors.New("the file is too large")
		}
		if err == nil {
			data, err = os.ReadFile(s.path)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", s.name, err)
		}
	}
	config, err := parseDockerConfig(data, s.legacy)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return config, nil
}

func parseDockerConfig(data []byte, legacy bool) (*dockerConfig, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(data)) == 0 {
		return &dockerConfig{}, nil
	}
	config := &dockerConfig{}
	var into any = config
	if legacy {
		into = &config.Auths
	}
	if err := json.Unmarshal(data, into); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, fmt.Errorf("not valid JSON at byte %d", syntax.Offset)
		}
		return nil, errors.New("not a configuration of Docker or Podman: a field has the wrong type")
	}
	return config, nil
}

// helper runs a credential helper for one server name.
type helper func(ctx context.Context, program, server string) (credentials, error)

// find asks the configuration for the repository's credentials: its own
// helper first, then the general one, then what is written in the file. A
// helper that fails is reported and does not end the search.
func (c *dockerConfig) find(ctx context.Context, run helper, name Name) (credentials, error) {
	authKey, hasAuth := bestKey(slices.Sorted(maps.Keys(c.Auths)), name)
	servers := []string{helperName(name)}
	if hasAuth && authKey != servers[0] {
		servers = append(servers, authKey)
	}
	var problems []error
	for _, program := range c.helpersFor(name) {
		for _, server := range servers {
			found, err := run(ctx, program, server)
			if err != nil {
				problems = append(problems, err)
				break
			}
			if !found.empty() {
				return found, nil
			}
		}
	}
	if hasAuth {
		found, err := c.Auths[authKey].credentials()
		if err == nil {
			return found, errors.Join(problems...)
		}
		problems = append(problems, fmt.Errorf("auths entry %q: %w", authKey, err))
	}
	return credentials{}, errors.Join(problems...)
}

func (c *dockerConfig) helpersFor(name Name) []string {
	var out []string
	if k, ok := bestKey(slices.Sorted(maps.Keys(c.CredHelpers)), name); ok && c.CredHelpers[k] != "" {
		out = append(out, c.CredHelpers[k])
	}
	if c.CredsStore != "" && !slices.Contains(out, c.CredsStore) {
		out = append(out, c.CredsStore)
	}
	return out
}

// credentials decodes the entry. One without content, which Docker writes
// beside a credential store, gives nobody.
func (a authEntry) credentials() (credentials, error) {
	found := credentials{username: a.Username, password: a.Password, identity: a.IdentityToken, bearer: a.RegistryToken}
	if a.Auth != "" {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(a.Auth))
		if err != nil {
			raw, err = base64.RawStdEncoding.DecodeString(strings.TrimSpace(a.Auth))
		}
		if err != nil {
			return credentials{}, errors.New("auth is not base64")
		}
		user, password, ok := strings.Cut(string(raw), ":")
		if !ok || user == "" {
			return credentials{}, errors.New("auth is not user:password in base64")
		}
		found.username, found.password = user, strings.TrimRight(password, "\x00")
	}
	if found.username == identityUser {
		if found.identity == "" {
			found.identity = found.password
		}
		found.username, found.password = "", ""
	}
	return found, nil
}
