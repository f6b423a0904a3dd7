package settings

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/upkeep"
)

// parse reads a value from text: a count, the nanoseconds of a duration or age, bytes, 0 or 1. A folder gives nothing. The error says what
// is wrong and how it is written, without naming the setting.
func (s Setting) parse(text string) (int64, error) {
	switch s.Kind {
	case Count:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no number: write digits", text)
		}
		if n < s.Min || n > s.Max {
			return 0, fmt.Errorf("%d is not from %d to %d", n, s.Min, s.Max)
		}
		return n, nil
	case Duration:
		d, err := ParseDuration(text)
		if err != nil {
			return 0, err
		}
		if int64(d) < s.Min || int64(d) > s.Max {
			return 0, fmt.Errorf("%q is not from %s to %s", text, time.Duration(s.Min), time.Duration(s.Max))
		}
		return int64(d), nil
	case Size:
		return upkeep.ParseSize(text)
	case Age:
		d, err := upkeep.ParseAge(text)
		return int64(d), err
	case Bool:
		switch strings.ToLower(text) {
		case "true":
			return 1, nil
		case "false":
			return 0, nil
		}
		return 0, fmt.Errorf("%q is neither true nor false", text)
	case Folder:
		if strings.TrimSpace(text) == "" || strings.ContainsRune(text, 0) {
			return 0, fmt.Errorf("%q is no folder", text)
		}
	}
	return 0, nil
}

var durationUnits = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour}

// ParseDuration reads a number with ms, s, m or h, such as 30s or 1.5m.
func ParseDuration(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, known := durationUnits[strings.ToLower(text[len(number):])]
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !known || err != nil || !(value >= 0) || value*float64(unit) > float64(1<<62) || strings.ContainsAny(number, "+xX_pP") {
		return 0, fmt.Errorf("%q is no duration: write a number and ms, s, m or h, as in 30s", text)
	}
	return time.Duration(value * float64(unit)), nil
}

// text makes the text of a TOML value. dir is where the file is.
func (s Setting) text(v any, dir string) (string, error) {
	wrong := func(as string) (string, error) { return "", fmt.Errorf("it is %s, and has to be %s", typeName(v), as) }
	switch s.Kind {
	case Count:
		if n, ok := v.(int64); ok {
			return strconv.FormatInt(n, 10), nil
		}
		return wrong("a number without quotes")
	case Bool:
		if b, ok := v.(bool); ok {
			return strconv.FormatBool(b), nil
		}
		return wrong("true or false without quotes")
	case Size:
		if n, ok := v.(int64); ok && n >= 0 { // bytes
			return strconv.FormatInt(n, 10), nil
		}
	}
	text, ok := v.(string)
	if !ok {
		return wrong(map[Kind]string{
			Size: `a text such as "10GB"`, Age: `a text such as "30d"`, Duration: `a text such as "30s"`, Folder: "a text",
		}[s.Kind])
	}
	if s.Kind == Folder && text != "" && !filepath.IsAbs(text) {
		text = filepath.Join(dir, text)
	}
	return text, nil
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a text"
	case int64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	case time.Time:
		return "a date"
	}
	return "something else"
}
