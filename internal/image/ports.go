package image

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/gantry-build/gantry/internal/diag"
)

// Ports are an image's exposed ports, as keys "number/type".
type Ports map[string]bool

// ParsePorts takes over the ExposedPorts of a configuration. A port without a type is tcp; keys that the SDK cannot read (sctp, for
// one) it drops, here they are kept as they are.
func ParsePorts(keys []string) Ports {
	p := Ports{}
	for _, k := range keys {
		if n, err := strconv.Atoi(k); err == nil {
			k = portKey(n, "tcp")
		}
		p[k] = true
	}
	return p
}

func portKey(number int, protocol string) string { return strconv.Itoa(number) + "/" + protocol }

// Add adds a ContainerPort item. Number and type are read as the SDK reads them (white space, a plus sign and leading zeros are
// allowed), but numbers that no port has are refused, which the SDK lets pass: CONTAINER2016 without a number, CONTAINER2017 else.
func (p Ports) Add(number, protocol string) error {
	if number == "" {
		return diag.New(diag.MissingPortNumber, "a ContainerPort has no number", `write <ContainerPort Include="8080" Type="tcp" />`)
	}
	var faults []string
	n, ok := portNumber(number)
	if !ok {
		faults = append(faults, fmt.Sprintf("the number %q", number))
	}
	given := protocol
	switch protocol = strings.TrimSpace(protocol); protocol {
	case "":
		protocol = "tcp"
	case "tcp", "udp":
	default:
		faults = append(faults, fmt.Sprintf("the type %q", given))
	}
	if len(faults) > 0 {
		return diag.New(diag.InvalidPort, "a ContainerPort has "+strings.Join(faults, " and "), "numbers go from 0 to 65535, the type is tcp or udp")
	}
	p[portKey(n, protocol)] = true
	return nil
}

func portNumber(s string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return n, err == nil && n >= 0 && n <= 65535
}

// urlPort finds the port in one address of ASPNETCORE_URLS; as with the SDK, of several the last.
var urlPort = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\w+://.+:([0-9]+)`) }) // compiled on first use: most calls need none

// Infer adds the ports that ASP.NET Core will listen on by its environment: those of ASPNETCORE_URLS alone when it is set, else those
// of ASPNETCORE_HTTP_PORTS and ASPNETCORE_HTTPS_PORTS. What is no port is passed over.
func (p Ports) Infer(env *Environment) {
	if urls, ok := env.Lookup("ASPNETCORE_URLS"); ok {
		for _, u := range strings.Split(urls, ";") {
			if m := urlPort().FindStringSubmatch(u); m != nil {
				p.inferOne(m[1])
			}
		}
		return
	}
	for _, name := range []string{"ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS"} {
		list, _ := env.Lookup(name)
		for _, s := range strings.Split(list, ";") {
			p.inferOne(s)
		}
	}
}

func (p Ports) inferOne(s string) {
	if n, ok := portNumber(s); ok {
		p[portKey(n, "tcp")] = true
	}
}
