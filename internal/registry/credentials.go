package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
)

// credentials are what one account of a registry proves itself with. The
// zero value is nobody.
type credentials struct {
	username string
	password string
	// identity is a refresh token, to be exchanged at the token server.
	identity string
	// bearer is a token that is sent to the registry as it is.
	bearer string
	// from says where they come from, for messages: never a secret.
	from string
}

func (c credentials) empty() bool { return c.username == "" && c.identity == "" && c.bearer == "" }

// basic is the value of a Basic Authorization header, without the scheme.
func (c credentials) basic() string {
	return base64.StdEncoding.EncodeToString([]byte(c.username + ":" + c.password))
}

// identityUser is the user name by which credential helpers say that the
// secret is an identity token (docker/cli, cli/config/credentials).
const identityUser = "<token>"

// newCredentials makes credentials out of a user name and a secret as Docker
// stores them.
func newCredentials(username, secret, from string) credentials {
	if username == identityUser {
		return credentials{identity: secret, from: from}
	}
	return credentials{username: username, password: secret, from: from}
}

// envPairs are the variables for a mode, by precedence (dotnet/sdk,
// Registry.GetDockerCredentialsFromEnvironment).
func envPairs(mode Mode) []string {
	const (
		push   = "DOTNET_CONTAINER_PUSH_REGISTRY"
		pull   = "DOTNET_CONTAINER_PULL_REGISTRY"
		both   = "DOTNET_CONTAINER_REGISTRY"
		legacy = "SDK_CONTAINER_REGISTRY"
	)
	switch mode {
	case ModePush:
		return []string{push, both, legacy}
	case ModePullFromOutput:
		return []string{pull, both, legacy}
	case modeElsewhere, ModePushElsewhere:
		return nil
	}
	return []string{pull}
}

// envCredentials reads DOTNET_CONTAINER_*. A pair counts only when both
// values are there; then nothing else is asked.
func envCredentials(getenv func(string) string, mode Mode) (credentials, bool) {
	for _, prefix := range envPairs(mode) {
		user, password := getenv(prefix+"_UNAME"), getenv(prefix+"_PWORD")
		if user != "" && password != "" {
			return newCredentials(user, password, prefix+"_UNAME"), true
		}
	}
	return credentials{}, false
}

// lookup finds the credentials for a repository. No credentials and no error
// is the ordinary case of a public image. An error says that some place that
// should have had them failed; it is for the message of a later 401 and
// never keeps a public image from being pulled.
func (c *Client) lookup(ctx context.Context, name Name, mode Mode) (credentials, error) {
	found, ok := envCredentials(c.getenv, mode)
	if ok {
		c.remember(found)
		return found, nil
	}
	var problems []error
	for _, source := range configSources(c.getenv) {
		config, err := source.load()
		if err != nil {
			problems = append(problems, err)
			continue
		}
		found, err := config.find(ctx, c.runHelper, name)
		if err != nil {
			problems = append(problems, err)
		}
		if !found.empty() {
			found.from = source.name
			c.remember(found)
			return found, nil
		}
	}
	helpers, err := c.network.Helpers()
	if err != nil {
		problems = append(problems, err)
	}
	for _, program := range helpers {
		found, err := c.runHelper(ctx, program, helperName(name))
		if err != nil {
			problems = append(problems, err)
		}
		if !found.empty() {
			c.remember(found)
			return found, nil
		}
	}
	return credentials{}, errors.Join(problems...)
}

// remember makes sure that no text shows them.
func (c *Client) remember(f credentials) {
	c.secrets.add(f.password, f.identity, f.bearer)
	if f.username != "" {
		c.secrets.add(f.basic())
	}
}

// accountKey is a key of auths, credHelpers or a look-up in a common form:
// without the version path that Docker wrote, Docker Hub by its one name. A
// key with a scheme is an address, of which the host alone counts (docker/cli,
// ConvertToHostname; containers/image, normalizeAuthFileKey).
func accountKey(key string) string {
	if _, rest, found := strings.Cut(key, "://"); found {
		key, _, _ = strings.Cut(rest, "/")
	}
	key = strings.TrimRight(key, "/")
	for _, version := range []string{"/v1", "/v2"} {
		key = strings.TrimSuffix(key, version)
	}
	host, path, hasPath := strings.Cut(key, "/")
	host = strings.ToLower(host)
	switch host {
	case "index.docker.io", dockerHubRequest:
		host = dockerHub
	}
	if hasPath && path != "" {
		return host + "/" + path
	}
	return host
}

// bestKey returns the key among keys that names the longest part of name,
// host first, then the path component by component. Where two keys mean the
// same, the one Docker itself writes is taken for Docker Hub, else the
// first by bytes: the answer never depends on the order of a map.
func bestKey(keys []string, name Name) (string, bool) {
	full := accountKey(name.Registry) + "/" + name.Repository
	best, bestForm := "", ""
	for _, k := range keys {
		form := accountKey(k)
		if form == "" || !strings.HasPrefix(full+"/", form+"/") {
			continue
		}
		switch {
		case len(form) < len(bestForm):
		case len(form) > len(bestForm), k == dockerHubKey, best != dockerHubKey && k < best:
			best, bestForm = k, form
		}
	}
	return best, bestForm != ""
}

// dockerHubKey is the name under which Docker stores the account of Docker
// Hub.
const dockerHubKey = "https://index.docker.io/v1/"

// helperName is what a credential helper is asked for when no key of the
// file says it better.
func helperName(name Name) string {
	if name.Registry == dockerHub {
		return dockerHubKey
	}
	return name.Registry
}
