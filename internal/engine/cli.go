package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// cli is an engine by its command line.
type cli struct{ program string }

// killed is how long a program may take to end after it was told to.
const killed = 5 * time.Second

func (c *cli) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.WaitDelay = killed
	return cmd
}

// run returns what the program writes to standard output; its error is what it says.
func (c *cli) run(ctx context.Context, args ...string) ([]byte, error) {
	var out head
	var said tail
	cmd := c.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.Bytes(), c.failed(args, err, &said)
	}
	return out.Bytes(), nil
}

// failed gives a program's error in its own words: from the line on that Podman begins with "Error: ", where it told of each layer before.
func (c *cli) failed(args []string, err error, said *tail) error {
	text := strings.TrimSpace(said.String())
	if i := strings.LastIndex(text, "\nError: "); i >= 0 {
		text = text[i+1:]
	}
	if text == "" {
		text = err.Error()
	}
	return fmt.Errorf("%s %s: %s", c.program, args[0], text)
}

// inspect takes any failure for an image that is not there: the load that follows shows what is wrong with the engine.
func (c *cli) inspect(ctx context.Context, name string) (*found, error) {
	out, err := c.run(ctx, "image", "inspect", name)
	if err != nil {
		return nil, ctx.Err()
	}
	var images []found
	if err := json.Unmarshal(out, &images); err != nil || len(images) != 1 {
		return nil, nil
	}
	return &images[0], nil
}

func (c *cli) all(ctx context.Context) ([]found, error) {
	out, err := c.run(ctx, "image", "ls", "--quiet", "--no-trunc")
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(string(out))
	if len(ids) == 0 {
		return nil, nil
	}
	out, err = c.run(ctx, append([]string{"image", "inspect"}, ids[:min(len(ids), maxImages)]...)...)
	if err != nil {
		return nil, err
	}
	var images []found
	return images, json.Unmarshal(out, &images)
}

func (c *cli) load(ctx context.Context, write func(io.Writer) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var said tail
	cmd := c.command(ctx, "load")
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	to := &pipe{w: in}
	err = write(to)
	if err != nil && to.err == nil {
		stop() // before the end of the input can be taken for that of the archive
	}
	in.Close()
	ended := cmd.Wait()
	switch {
	case err != nil && to.err == nil:
		return err
	case ended != nil:
		return c.failed([]string{"load"}, ended, &said)
	}
	return nil // also where it had enough before the end, and is content
}

// pipe notes that what is written to takes no more: a program that does not read, or a file on a disk that is full.
type pipe struct {
	w   io.Writer
	err error
}

func (p *pipe) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if err != nil {
		p.err = err
	}
	return n, err
}

func (c *cli) tag(ctx context.Context, id, name string) error {
	_, err := c.run(ctx, "tag", id, name)
	return err
}

func (c *cli) save(ctx context.Context, name string, oci bool, w io.Writer) error {
	args := []string{"save"}
	if oci {
		args = append(args, "--format", "oci-archive")
	}
	var said tail
	cmd := c.command(ctx, append(args, name)...)
	cmd.Stdout, cmd.Stderr = w, &said
	if err := cmd.Run(); err != nil {
		return c.failed(args, err, &said)
	}
	return nil
}

func (c *cli) info(ctx context.Context) (*info, error) {
	out, err := c.run(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return nil, &absent{err}
	}
	i, err := parseInfo(out)
	if err != nil {
		return nil, &absent{err}
	}
	return i, nil
}

const (
	maxImages = 200 // that are looked at
	maxSaid   = 4 << 10
	maxAnswer = 8 << 20
)

// head keeps the first bytes of what a program answers.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := maxAnswer - h.Len(); room > 0 {
		h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// tail keeps the last bytes of what a program says, where its error is.
type tail struct{ bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	t.Buffer.Write(p)
	t.Next(max(0, t.Len()-maxSaid))
	return len(p), nil
}

var errNoAnswer = errors.New("it gave no answer")
