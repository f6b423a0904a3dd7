package dockerfile

import "strings"

// PublicURL is an address without what may be a secret of it: the user with the password, and what is behind a question mark.
func PublicURL(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address
	}
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	host, path, hasPath := strings.Cut(rest, "/")
	host = host[strings.LastIndex(host, "@")+1:]
	address = scheme + "://" + host
	if hasPath {
		address += "/" + path
	}
	if hasFragment { // of a git repository: the commit and the folder
		address += "#" + fragment
	}
	return address
}
