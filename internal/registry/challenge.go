package registry

import (
	"net/http"
	"strings"
)

// challenge is one way to authenticate that a server offers (RFC 9110,
// 11.6.1).
type challenge struct {
	scheme string // lower case
	params map[string]string
}

// maxChallenge is the longest WWW-Authenticate header that is read, in bytes.
const maxChallenge = 16 << 10

// parseChallenges reads every WWW-Authenticate header. Scheme and parameter
// names come out in lower case; what cannot be parsed ends the reading of
// that header and keeps what was found before.
func parseChallenges(h http.Header) []challenge {
	var out []challenge
	for _, v := range h.Values("WWW-Authenticate") {
		if len(v) <= maxChallenge {
			out = append(out, parseChallenge(v)...)
		}
	}
	return out
}

func parseChallenge(s string) []challenge {
	var out []challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		word, rest := cutToken(s)
		if word == "" {
			return out
		}
		after := strings.TrimLeft(rest, " \t")
		if strings.HasPrefix(after, "=") && len(out) > 0 {
			value, rest, ok := cutValue(strings.TrimLeft(after[1:], " \t"))
			if !ok {
				return out
			}
			out[len(out)-1].params[strings.ToLower(word)] = value
			s = rest
			continue
		}
		out = append(out, challenge{scheme: strings.ToLower(word), params: map[string]string{}})
		s = rest
	}
}

// cutToken splits a token of RFC 9110, 5.6.2, off s.
func cutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isTokenByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

// cutValue splits a token or a quoted string off s.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutToken(s)
		// Some servers leave the quotes out around an address.
		if i := strings.IndexAny(rest, ", \t"); i > 0 {
			value, rest = value+rest[:i], rest[i:]
		} else if i < 0 {
			value, rest = value+rest, ""
		}
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
