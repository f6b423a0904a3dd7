package publish

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/tasks"
	"github.com/gantry-build/gantry/tasks/createlayers"
)

// parse reads the options that are texts with parts.
func (s *settings) parse() error {
	var err error
	if s.environment, err = pairs("--env", s.Environment); err != nil {
		return err
	}
	if s.labels, err = pairs("--label", s.Labels); err != nil {
		return err
	}
	for _, p := range s.Ports {
		number, kind, _ := strings.Cut(p, "/")
		s.ports = append(s.ports, tasks.Port{Number: number, Type: kind})
	}
	// The stage knows the SDK's spellings, which are case-sensitive; at a prompt they need not be.
	switch strings.ToLower(s.Format) {
	case "oci":
		s.Format = "OCI"
	case "docker":
		s.Format = "Docker"
	case "":
	default:
		return badOption(fmt.Sprintf("--format %q is not oci or docker", s.Format), "leave it out to keep the base's format")
	}
	if s.Layers != "" && s.Layers != "auto" && s.Layers != "single" {
		return badOption(fmt.Sprintf("--layers %q is not auto or single", s.Layers), "leave it out for auto")
	}
	if s.CompressionLevel != "" {
		level, err := strconv.Atoi(s.CompressionLevel)
		if err != nil {
			return badOption(fmt.Sprintf("--compression-level %q is no number", s.CompressionLevel), "leave it out for the default")
		}
		s.compressionLevel = &level
	}
	for _, text := range s.OwnLayers {
		name, globs, found := strings.Cut(text, "=")
		if !found || name == "" || globs == "" {
			return badOption(fmt.Sprintf("--own-layer %q has no name or no files", text), `write --own-layer "NAME=GLOB", for example "models=models/**"`)
		}
		s.ownLayers = append(s.ownLayers, createlayers.OwnLayer{Name: name, Files: strings.Split(globs, ";")})
	}
	for _, text := range s.LayerItems {
		item, err := parseItem(text)
		if err != nil {
			return err
		}
		s.layerItems = append(s.layerItems, item)
	}
	return nil
}

// verifiesBlobs says whether the blobs of the destination are looked at rather than believed in.
func (s *settings) verifiesBlobs() bool {
	push := tasks.PushSettings{Verify: s.Verify}
	return push.Verifies(tasks.VerifyBlobs)
}

// pairs reads NAME=VALUE; the value may be empty and may have equals signs.
func pairs(flag string, texts []string) ([]tasks.NameValue, error) {
	var out []tasks.NameValue
	for _, t := range texts {
		name, value, found := strings.Cut(t, "=")
		if !found || name == "" {
			// The text itself stays out of the message: somebody's secret may be in it.
			return nil, badOption(flag+" has a value without a name and an equals sign", "write "+flag+" NAME=VALUE")
		}
		out = append(out, tasks.NameValue{Name: name, Value: value})
	}
	return out, nil
}
