package image

import (
	"regexp"
	"strings"
	"sync"
)

// environmentName is what the SDK accepts as the name of a variable.
var environmentName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`) }) // compiled on first use: most calls need none

// ValidEnvironmentName says whether the SDK accepts name; it drops others with the warning CONTAINER2015.
func ValidEnvironmentName(name string) bool { return environmentName().MatchString(name) }

// Environment is an image's environment: names in the order in which they appeared first.
type Environment struct {
	names  []string
	values map[string]string
}

// ParseEnvironment reads the Env of a configuration. Entries without an equals sign are dropped, as the SDK does; of two with one
// name the last value counts (the SDK fails there).
func ParseEnvironment(entries []string) *Environment {
	e := &Environment{values: map[string]string{}}
	for _, s := range entries {
		if name, value, ok := strings.Cut(s, "="); ok {
			e.Set(name, value)
		}
	}
	return e
}

// Set gives a variable a value: in its place when it is there, else behind the others.
func (e *Environment) Set(name, value string) {
	if _, ok := e.values[name]; !ok {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

// Lookup returns the value of a variable. Names differ by case, on Windows too, as with the SDK.
func (e *Environment) Lookup(name string) (string, bool) {
	v, ok := e.values[name]
	return v, ok
}

// Entries returns the environment as a configuration holds it.
func (e *Environment) Entries() []string {
	out := make([]string, len(e.names))
	for i, n := range e.names {
		out[i] = n + "=" + e.values[n]
	}
	return out
}
