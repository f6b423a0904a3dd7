package dockerfile

import (
	"fmt"
	"strings"
)

// Platform is what an image runs on. The zero value is none.
type Platform struct {
	OS, Architecture, Variant, OSVersion string
}

// String writes os/architecture/variant as BuildKit does in TARGETPLATFORM, with the version of the operating system where it is known.
func (p Platform) String() string {
	s := p.OS
	if p.OSVersion != "" {
		s += "(" + p.OSVersion + ")"
	}
	s += "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// withoutVersion is the form of BUILDPLATFORM.
func (p Platform) withoutVersion() string {
	p.OSVersion = ""
	return p.String()
}

// The names that stand alone in a platform, as in FROM --platform=arm64 (containerd/platforms, database.go).
var (
	systems       = words("aix android darwin dragonfly freebsd illumos ios js linux nacl netbsd openbsd plan9 solaris windows zos")
	architectures = words("386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 ppc64le " +
		"riscv riscv64 s390 s390x sparc sparc64 wasm")
)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// ParsePlatform reads os[(version)][/architecture[/variant]], or an architecture alone, by the rules of containerd/platforms. What is left out
// is taken from local.
func ParsePlatform(s string, local Platform) (Platform, error) {
	parts := strings.Split(s, "/")
	for _, part := range parts {
		if part == "" || strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.()+") != "" {
			return Platform{}, fmt.Errorf("platform %q is not os/architecture or os/architecture/variant", s)
		}
	}
	var p Platform
	p.OS, p.OSVersion = splitVersion(parts[0])
	switch len(parts) {
	case 1:
		if systems[p.OS] {
			p.Architecture, p.Variant = local.Architecture, local.Variant
			return p, nil
		}
		p.setArchitecture(parts[0], "")
		if architectures[p.Architecture] {
			p.OS, p.OSVersion = local.OS, ""
			return p, nil
		}
		return Platform{}, fmt.Errorf("platform %q is neither an operating system nor an architecture", s)
	case 2:
		p.setArchitecture(parts[1], "")
	case 3:
		p.setArchitecture(parts[1], parts[2])
	default:
		return Platform{}, fmt.Errorf("platform %q has more than three parts", s)
	}
	return p, nil
}

func splitVersion(s string) (system, version string) {
	system, version, _ = strings.Cut(s, "(")
	version, features, _ := strings.Cut(version, ")")
	_ = features // os.features select no image of a registry that we know
	system = strings.ToLower(system)
	if system == "macos" {
		system = "darwin"
	}
	return system, version
}

func (p *Platform) setArchitecture(architecture, variant string) {
	architecture, variant = strings.ToLower(architecture), strings.ToLower(variant)
	switch architecture {
	case "i386":
		architecture, variant = "386", ""
	case "x86_64", "x86-64", "amd64":
		architecture = "amd64"
		if variant == "v1" {
			variant = ""
		}
	case "aarch64", "arm64":
		architecture = "arm64"
		if variant == "8" || variant == "v8" {
			variant = ""
		}
	case "armhf":
		architecture, variant = "arm", "v7"
	case "armel":
		architecture, variant = "arm", "v6"
	case "arm":
		switch variant {
		case "", "7":
			variant = "v7"
		case "5", "6", "8":
			variant = "v" + variant
		}
	}
	p.Architecture, p.Variant = architecture, variant
}
