// Package settings holds what a user may set for all publishes: limits, times, retries, the content store, trust. What Docker's and
// Podman's own files say (accounts, mirrors, certificates) is read from those, and what concerns one image is said by that publish.
//
// A setting has one name, TABLE.KEY, from which its other names are made:
//
//	cache.max-size   [cache] max-size = "10GB" in gantry.toml, $GANTRY_CACHE_MAX_SIZE, property GantryCacheMaxSize
//
// The value of each setting is that of the first place that has one:
//
//  1. the command's own flag (--max-size, --trust-layer-keys)
//  2. the environment variable, which is also how a property arrives
//  3. the file that --config names, or $GANTRY_CONFIG
//  4. the repository's gantry.toml: in the working directory, in a build the project's ($GANTRY_SETTINGS_DIR), or the nearest folder above
//     it, up to the one that has .git
//  5. the user's gantry.toml: in $XDG_CONFIG_HOME/gantry or ~/.config/gantry (Windows: %AppData%\gantry)
//  6. the default
//
// Files are strict: a key that is not known, a value of the wrong type or out of its range is an error with file and line, as a setting
// that is silently not used helps nobody. A folder that a file names is relative to the file. The key's secret, GANTRY_KEY_SECRET, is no
// setting: files are read by too many.
package settings

import (
	"slices"
	"strings"
	"time"
)

// Setting is one row of Table.
type Setting struct {
	Name    string // TABLE.KEY
	Kind    Kind
	Default string // as it would be written; empty when it depends on the machine
	Meaning string
	// Min and Max bound a count, and the nanoseconds of a duration.
	Min, Max int64
}

// Kind is what a value is.
type Kind string

// Kinds of values, as a person would call them.
const (
	Count    Kind = "number"
	Duration Kind = "duration"
	Size     Kind = "size"
	Age      Kind = "age"
	Bool     Kind = "true or false"
	Folder   Kind = "folder"
)

const (
	second = int64(time.Second)
	hour   = int64(time.Hour)
)

// Table lists all settings by name.
var Table = []Setting{
	{Name: "cache.dir", Kind: Folder, Meaning: "the content store"},
	{Name: "cache.max-age", Kind: Age, Default: "30d", Meaning: "blobs that were not used for so long are removed from the store"},
	{Name: "cache.max-size", Kind: Size, Default: "10GB", Meaning: "the store keeps at most so much in blobs"},
	{Name: "limits.downloads", Kind: Count, Default: "8", Min: 1, Max: 256, Meaning: "downloads from one registry at once"},
	{Name: "limits.requests", Kind: Count, Default: "64", Min: 1, Max: 64, Meaning: "questions to one registry at once, such as what a tag names; they begin with 8, and are fewer for a while when the registry says that it is too many"},
	{Name: "limits.uploads", Kind: Count, Default: "8", Min: 1, Max: 256, Meaning: "uploads to one registry at once"},
	{Name: "retries.attempts", Kind: Count, Default: "6", Min: 1, Max: 100, Meaning: "how often one request is sent at most; what a registry turns away while it answers others does not count"},
	{Name: "retries.max-time", Kind: Duration, Default: "5m", Min: second, Max: 24 * hour, Meaning: "how long all attempts of one request may take"},
	{Name: "retries.max-wait", Kind: Duration, Default: "1m", Min: second, Max: 24 * hour, Meaning: "the longest pause that a registry may ask for (Retry-After); a longer one is an error"},
	{Name: "timeouts.connect", Kind: Duration, Default: "30s", Min: second / 10, Max: hour, Meaning: "how long a connection may take to come about"},
	{Name: "timeouts.stall", Kind: Duration, Default: "60s", Min: second, Max: 24 * hour, Meaning: "how long a connection may stand still before it counts as broken"},
	{Name: "trust.layer-keys", Kind: Bool, Default: "true", Meaning: "what the image to be replaced says of its layers, base and configuration is believed; false makes all and compares"},
}

// Env is the name of the environment variable.
func (s Setting) Env() string {
	return "GANTRY_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.Name))
}

// Property is the name of the MSBuild property.
func (s Setting) Property() string {
	var b strings.Builder
	b.WriteString("Gantry")
	for _, word := range strings.FieldsFunc(s.Name, func(r rune) bool { return r == '.' || r == '-' }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// find returns the setting of a name.
func find(name string) (Setting, bool) {
	i := slices.IndexFunc(Table, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return Table[i], true
}

// Value is a setting as it holds.
type Value struct {
	Setting
	Text string // as it was written; a folder as an absolute path
	From string // "default", "$NAME", or a file and line
}

// Settings are all values, in the order of Table.
type Settings struct {
	Values []Value
	Files  []string // that were read, the first counts least
}

func (s *Settings) value(name string) *Value {
	i := slices.IndexFunc(s.Values, func(v Value) bool { return v.Name == name })
	return &s.Values[i]
}

// Count is the value of a number.
func (s *Settings) Count(name string) int { return int(s.parsed(name)) }

// Duration is the value of a duration.
func (s *Settings) Duration(name string) time.Duration { return time.Duration(s.parsed(name)) }

// Bool is the value of a setting that is true or false.
func (s *Settings) Bool(name string) bool { return s.parsed(name) != 0 }

// parsed is a value that was checked when it was set.
func (s *Settings) parsed(name string) int64 {
	v := s.value(name)
	n, _ := v.parse(v.Text)
	return n
}

// Getenv is getenv with the settings that files make: for code that reads its settings from variables, their names mean what holds.
func (s *Settings) Getenv(getenv func(string) string) func(string) string {
	values := map[string]string{}
	for _, v := range s.Values {
		if v.From != fromDefault {
			values[v.Env()] = v.Text
		}
	}
	return func(name string) string {
		if text, ok := values[name]; ok {
			return text
		}
		return getenv(name)
	}
}
