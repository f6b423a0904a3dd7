package graphrun

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/imagelist"
)

// flags are the options of lists, as bake and Compose call them, that docker buildx build and buildah bud both have.
var flags = map[string]string{
	"labels": "--label", "annotations": "--annotation", "network": "--network", "networkmode": "--network",
	"shm-size": "--shm-size", "shm_size": "--shm-size", "ulimits": "--ulimit", "extra-hosts": "--add-host", "extra_hosts": "--add-host",
}

// options are what else a list tells the builder. One that is not known is an error: an image without it would be another one.
func options(s *imagelist.Spec) ([]string, error) {
	var args []string
	for _, key := range slices.Sorted(maps.Keys(s.Options)) {
		flag := flags[key]
		between := "="
		if flag == "--add-host" {
			between = ":"
		}
		values, ok := optionValues(s.Options[key], between)
		switch {
		case flag == "" && (s.Options[key] == "false" || key == "no-cache" || key == "no_cache" || key == "pull"):
			continue // nothing, or only how the builder comes to the same image
		case flag == "" || !ok:
			return nil, diag.New(diag.BuilderUnusable, fmt.Sprintf("image %s (%s) has %s = %.100s, which gantry graph run does not give to a builder",
				s.Name, s.Origin, key, s.Options[key]), "build it with a command of your own: --builder CMD has it in GANTRY_OPTIONS")
		default:
			for _, v := range values {
				args = append(args, flag, v)
			}
		}
	}
	return args, nil
}

// optionValues reads a string, a number, a list of strings, or a table of strings, which it joins to their keys.
func optionValues(text, between string) ([]string, bool) {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return nil, false
	}
	scalar := func(v any) (string, bool) {
		switch v := v.(type) {
		case string:
			return v, true
		case float64:
			return fmt.Sprint(v), v == float64(int64(v)) && v < 1e15
		}
		return "", false
	}
	if s, ok := scalar(v); ok {
		return []string{s}, true
	}
	var list []string
	add := func(prefix string, v any) bool {
		s, ok := scalar(v)
		list = append(list, prefix+s)
		return ok
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if !add("", e) {
				return nil, false
			}
		}
		return list, true
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if !add(k+between, v[k]) {
				return nil, false
			}
		}
		return list, true
	}
	return nil, false
}
