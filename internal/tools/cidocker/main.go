// Command cidocker is what the tests of docs/ci call docker: it pushes images without layers, and knows what those files ask docker for. It is a
// program of its own because it is started some hundred times, which takes long with the race detector that the tests are built with.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

func main() {
	if err := dockerCommand(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// dockerCommand is the docker of a machine, whose folder is the environment's MACHINE. It builds where a builder was made and binfmt was there.
func dockerCommand(args []string) error {
	command := strings.Join(args, " ")
	made := func(name string) string { return filepath.Join(os.Getenv("MACHINE"), name) }
	switch {
	case strings.HasPrefix(command, "login "):
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case command == "context create ci":
		return os.WriteFile(made("context"), nil, 0o644)
	case command == "buildx create --use ci":
		if _, err := os.Stat(made("context")); err != nil {
			return err
		}
		return os.WriteFile(made("builder"), nil, 0o644)
	case command == "buildx create --use":
		return os.WriteFile(made("builder"), nil, 0o644)
	case command == "run --privileged --rm tonistiigi/binfmt --install all":
		return os.WriteFile(made("binfmt"), nil, 0o644)
	case !strings.HasPrefix(command, "buildx build "):
		return fmt.Errorf("docker %s is not known", command)
	}
	for _, name := range []string{"builder", "binfmt"} {
		if _, err := os.Stat(made(name)); err != nil {
			return err
		}
	}
	return dockerBuildx(args)
}

// dockerBuildx is docker buildx build of an image without layers. What it is made of is the file named content in its context and the
// parents that it is given by digest; so another Dockerfile may make the same image. Each image goes to the file of the environment's BUILT.
func dockerBuildx(args []string) error {
	flags := map[string][]string{}
	var positional []string
	for i := 0; i < len(args); i++ {
		if name, ok := strings.CutPrefix(args[i], "--"); ok && !strings.Contains(name, "=") {
			i++
			flags[name] = append(flags[name], args[i])
		} else {
			positional = append(positional, args[i])
		}
	}
	dir := positional[len(positional)-1]
	content, err := os.ReadFile(filepath.Join(dir, "content"))
	if err != nil {
		return err
	}
	if strings.Contains(string(content), "cannot be built") {
		return fmt.Errorf("%s cannot be built", dir)
	}
	slices.Sort(flags["build-context"])
	config, err := json.Marshal(map[string]any{
		"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"type": "layers", "diff_ids": []string{}},
		"config": map[string]any{"Labels": map[string]string{"content": string(content), "from": strings.Join(flags["build-context"], " ")}},
	})
	if err != nil {
		return err
	}
	image, err := basemaker.NewImage(basemaker.OCIManifest, basemaker.NewBlob(basemaker.OCIConfig, config), nil,
		basemaker.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		return err
	}
	host, rest, _ := strings.Cut(flags["tag"][0], "/")
	repository, tag, _ := strings.Cut(rest, ":")
	if err := (basemaker.Target{URL: "http://" + host}).PushImage(context.Background(), repository, tag, image); err != nil {
		return err
	}
	metadata := fmt.Sprintf(`{"containerimage.digest": %q}`, image.Manifest.Digest)
	if err := os.WriteFile(flags["metadata-file"][0], []byte(metadata), 0o644); err != nil {
		return err
	}
	f, err := os.OpenFile(os.Getenv("BUILT"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, filepath.Base(dir), image.Manifest.Digest, flags["build-context"])
	return err
}
