package hosts

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// maxDaemon is the largest daemon.json that is read, in bytes.
const maxDaemon = 1 << 20

// daemonFiles are where Docker's daemon is configured: the system's, Docker Desktop's, and that of a daemon without root.
func daemonFiles(getenv func(string) string) []string {
	var out []string
	home := getenv("HOME")
	if runtime.GOOS == "windows" {
		home = getenv("USERPROFILE")
		if dir := getenv("ProgramData"); dir != "" {
			out = append(out, filepath.Join(dir, "docker", "config", "daemon.json"))
		}
	} else {
		out = append(out, "/etc/docker/daemon.json")
	}
	if home != "" {
		out = append(out, filepath.Join(home, ".docker", "daemon.json"), filepath.Join(home, ".config", "docker", "daemon.json"))
	}
	return out
}

// insecure is an entry of insecure-registries: host[:port], or a range of addresses.
type insecure struct {
	name  string
	block netip.Prefix
}

// loadDaemons reads the lists. A file that cannot be read or used says nothing: it is the daemon's, and it names exceptions from what is
// safe.
func loadDaemons(files []string) []insecure {
	var out []insecure
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.IsDir() || info.Size() > maxDaemon {
			continue
		}
		if data, err := os.ReadFile(file); err == nil {
			out = append(out, parseDaemon(data)...)
		}
	}
	return out
}

func parseDaemon(data []byte) (out []insecure) {
	var doc struct {
		Insecure []string `json:"insecure-registries"`
	}
	if json.Unmarshal(data, &doc) != nil {
		return nil
	}
	for _, s := range doc.Insecure {
		// Docker takes a scheme off, with a warning (moby, registry/config.go).
		s = strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(s), "http://"), "https://")
		if block, err := netip.ParsePrefix(s); err == nil {
			out = append(out, insecure{block: block.Masked()})
		} else if s != "" {
			out = append(out, insecure{name: s})
		}
	}
	return out
}

// daemonAllows says whether Docker may use any certificate of a registry, host[:port]. A range holds for registries that are named by an
// address: Docker looks names up for it, and what a name server says is no reason to trust anybody.
func (h *Hosts) daemonAllows(host string) bool {
	host = strings.ToLower(host)
	bare := host
	if before, _, err := net.SplitHostPort(host); err == nil {
		bare = before
	}
	addr, err := netip.ParseAddr(strings.Trim(bare, "[]"))
	for _, e := range h.daemons() {
		if e.name != "" && e.name == host || e.block.IsValid() && err == nil && e.block.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}
