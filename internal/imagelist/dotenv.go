package imagelist

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// dotenv reads the file .env beside a Compose file, which gives values to variables that the environment does not have: NAME=VALUE in a
// line, where a value in '…' stands for itself, and one in "…" or without quotes may have variables (docs.docker.com, "Syntax for
// environment files in Docker Compose"). A file that is not there gives none.
func dotenv(dir string, getenv func(string) (string, bool)) (map[string]string, error) {
	file := filepath.Join(dir, ".env")
	fi, err := os.Stat(file)
	switch {
	case err != nil || fi.IsDir():
		return nil, nil
	case fi.Size() > 1<<20:
		return nil, fmt.Errorf(".env has %d bytes", fi.Size())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return parseDotenv(strings.TrimPrefix(string(data), "\ufeff"), getenv)
}

func parseDotenv(text string, getenv func(string) (string, bool)) (map[string]string, error) {
	values := map[string]string{}
	in := &interpolation{empty: func(string) {}, getenv: func(name string) (string, bool) {
		if v, ok := getenv(name); ok {
			return v, true
		}
		v, ok := values[name]
		return v, ok
	}}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for line := 1; text != ""; {
		begin := line
		var statement string
		statement, text, line = dotenvStatement(text, line)
		statement = strings.TrimSpace(statement)
		if statement == "" || statement[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(statement, "export "); ok {
			statement = strings.TrimSpace(rest)
		}
		end := strings.IndexAny(statement, "=:\n")
		name := statement
		if end >= 0 {
			name = strings.TrimSpace(statement[:end])
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") != "" || name == "" {
			return nil, fmt.Errorf(".env, line %d: it is not NAME=VALUE", begin)
		}
		if end < 0 {
			continue // a name alone has the value of the environment
		}
		value, err := dotenvValue(strings.TrimSpace(statement[end+1:]), in)
		if err != nil {
			return nil, fmt.Errorf(".env, line %d: %w", begin, err)
		}
		values[name] = value
	}
	return values, nil
}

// dotenvStatement cuts off the next line, or several where a quoted value spans them.
func dotenvStatement(text string, line int) (statement, rest string, next int) {
	end := strings.IndexByte(text, '\n')
	if end < 0 {
		end = len(text)
	}
	value := strings.IndexAny(text[:end], "=:")
	if value >= 0 && !strings.HasPrefix(strings.TrimSpace(text[:end]), "#") {
		begin := value + 1
		for begin < end && strings.IndexByte(" \t", text[begin]) >= 0 {
			begin++
		}
		if begin < end && strings.IndexByte(`'"`, text[begin]) >= 0 {
			if closing := closingQuote(text[begin:]); closing >= 0 {
				after := begin + closing
				if end = strings.IndexByte(text[after:], '\n'); end < 0 {
					end = len(text) - after
				}
				end += after
			}
		}
	}
	return text[:end], text[min(end+1, len(text)):], line + 1 + strings.Count(text[:end], "\n")
}

// closingQuote is where the quote that s begins with is closed, or -1. A quote behind a backslash closes nothing.
func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i
		}
	}
	return -1
}

func dotenvValue(text string, in *interpolation) (string, error) {
	if text == "" {
		return "", nil
	}
	if text[0] != '"' && text[0] != '\'' {
		if i := strings.Index(text, " #"); i >= 0 {
			text = strings.TrimSpace(text[:i])
		}
		return in.expand(text)
	}
	end := closingQuote(text)
	if end < 0 {
		return "", fmt.Errorf("the quote is not closed")
	}
	if rest := strings.TrimSpace(text[end+1:]); rest != "" && rest[0] != '#' {
		return "", fmt.Errorf("there is text behind the quote")
	}
	if text[0] == '\'' {
		return strings.ReplaceAll(text[1:end], `\'`, "'"), nil
	}
	escapes := strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\\`, `\`, `\"`, `"`, `\$`, "$$")
	return in.expand(escapes.Replace(text[1:end]))
}
