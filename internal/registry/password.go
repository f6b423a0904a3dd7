package registry

import "strings"

// withoutPassword is a name for an error, in which the password of ACCOUNT:PASSWORD@HOST is not said: such a name is refused, and what is
// said of it is in logs. An @ before a digest is none of an account's.
func withoutPassword(name string) string {
	at := strings.LastIndexByte(name, '@')
	if at < 0 || isDigestForm(name[at+1:]) {
		return name
	}
	start := 0
	if i := strings.Index(name[:at], "://"); i >= 0 {
		start = i + len("://")
	}
	colon := strings.IndexByte(name[start:at], ':')
	if colon < 0 {
		return name
	}
	return name[:start+colon+1] + "***" + name[at:]
}

// isDigestForm says whether s can be a digest, right or wrong: ALGORITHM:TEXT without a slash, and no port behind the colon.
func isDigestForm(s string) bool {
	algorithm, text, found := strings.Cut(s, ":")
	return found && !strings.ContainsAny(s, "/") && !strings.Contains(algorithm, ".") && len(text) > len("65535")
}
