package graphformat

import (
	"encoding/base64"
	"strings"
)

// variable is an environment variable of a job in Azure and GitLab.
type variable struct{ name, value string }

// variables are a job as variables of a pipeline: lists joined by commas, tables as JSON, and all of it as JSON in base64, which no shell and
// no service changes. A brief job has only its image and whether it is forced.
func (j *Job) variables() ([]variable, error) {
	list := []variable{{"GRAPH_IMAGE", j.Image}}
	if j.Force {
		list = append(list, variable{"GRAPH_FORCE", "true"})
	}
	if j.brief {
		return list, nil
	}
	list = append(list, []variable{
		{"GRAPH_CONTEXT", j.Context},
		{"GRAPH_FILE", j.File},
		{"GRAPH_TARGET", j.Target},
		{"GRAPH_PLATFORMS", strings.Join(j.Platforms, ",")},
		{"GRAPH_TAGS", strings.Join(j.Tags, ",")},
	}...)
	for _, table := range []struct {
		name   string
		values map[string]string
	}{{"GRAPH_ARGS", j.Args}, {"GRAPH_PINS", j.Pins}} {
		if len(table.values) == 0 {
			continue
		}
		text, err := compact(table.values)
		if err != nil {
			return nil, err
		}
		list = append(list, variable{table.name, string(text)})
	}
	text, err := compact(j)
	if err != nil {
		return nil, err
	}
	list = append(list, variable{"GRAPH_STAMP", j.Stamp}, variable{"GRAPH_JOB", base64.StdEncoding.EncodeToString(text)})
	set := list[:0]
	for _, v := range list {
		if v.value != "" {
			set = append(set, v)
		}
	}
	return set, nil
}
