package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const (
	// helperTimeout is how long a credential helper may take: one that waits
	// for a person to type never returns in a build.
	helperTimeout = 30 * time.Second
	// maxHelperOutput is how much of its output is read, in bytes.
	maxHelperOutput = 64 << 10
)

// runHelper asks the program docker-credential-<program> for the account of
// server (docker/docker-credential-helpers, "get"). A helper that has none
// gives no credentials and no error. The output never gets into an error:
// it may be the secret.
func (c *Client) runHelper(ctx context.Context, program, server string) (credentials, error) {
	name := "docker-credential-" + program
	if program == "" || strings.ContainsAny(program, `/\`+"\x00") {
		return credentials{}, fmt.Errorf("%q is not the name of a credential helper", program)
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return credentials{}, fmt.Errorf("credential helper %s is not on the PATH", name)
	}
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	out := &cappedBuffer{left: maxHelperOutput}
	cmd := exec.CommandContext(ctx, path, "get")
	cmd.Stdin = strings.NewReader(server)
	cmd.Stdout = out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return credentials{}, fmt.Errorf("credential helper %s did not answer for %s", name, helperTimeout)
		case isNotFoundAnswer(out.Bytes()):
			return credentials{}, nil
		}
		return credentials{}, fmt.Errorf("credential helper %s failed: %w", name, err)
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return credentials{}, fmt.Errorf("credential helper %s did not answer in JSON", name)
	}
	if answer.Secret == "" {
		return credentials{}, nil
	}
	return newCredentials(answer.Username, answer.Secret, name), nil
}

// isNotFoundAnswer knows the sentence that the helpers' protocol has for "no
// such account"; it is compared as a whole.
func isNotFoundAnswer(out []byte) bool {
	return string(bytes.TrimSpace(out)) == "credentials not found in native keychain"
}

// cappedBuffer keeps the first bytes and drops the rest.
type cappedBuffer struct {
	bytes.Buffer
	left int
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	keep := min(len(p), b.left)
	b.left -= keep
	b.Buffer.Write(p[:keep])
	return len(p), nil
}
