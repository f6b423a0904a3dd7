package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/imagelist"
)

// The graph that is planned: tools, each in every combination of an operating system, a language version and a flavour, over shared bases.
// Each combination reads six of these: the builder and the language's image of its system, its flavour, and three that all have.
var (
	graphSystems   = []string{"bookworm", "trixie", "noble", "alpine"}
	graphLanguages = []string{"3.10", "3.11", "3.12", "3.13", "3.14"}
	graphFlavours  = []string{"plain", "dev", "debug", "fips", "slim", "gpu", "test", "root"}
	graphCommons   = []string{"certs", "init", "debug"}
)

// outsidePrefix is what the repositories of images outside the graph begin with.
const outsidePrefix = "outside/"

// graphTools is how many tools there are: 80 × 160 combinations.
const graphTools = 80

// graphCombinations is how many images there are of each tool.
func graphCombinations() int { return len(graphSystems) * len(graphLanguages) * len(graphFlavours) }

// graphBases is how many images of the graph the others are built from.
func graphBases() int {
	return 2*len(graphSystems) + len(graphSystems)*len(graphLanguages) + len(graphFlavours) + len(graphCommons)
}

// graphSite is a repository of Dockerfiles.
type graphSite struct {
	dir, host string
	tools     int
	// oneEach says that each image has a repository of its own; else each tool has one, with a tag for each image.
	oneEach bool
	// files and bytes are what was written.
	files int
	bytes int64
}

// writeGraphSite writes the list, the Dockerfiles and their contexts.
func writeGraphSite(dir, host string, tools int, oneEach bool) (*graphSite, error) {
	s := &graphSite{dir: dir, host: host, tools: tools, oneEach: oneEach}
	texts := map[string]string{imagelist.FileName: s.list()}
	s.baseContexts(texts)
	for k := range tools {
		s.toolContext(texts, k)
	}
	for name, text := range texts {
		if err := writeFile(filepath.Join(dir, name), []byte(text)); err != nil {
			return nil, err
		}
		s.files++
		s.bytes += int64(len(text))
	}
	return s, nil
}

func toolName(k int) string { return fmt.Sprintf("tool%02d", k) }

// list is the gantry.graph.toml.
func (s *graphSite) list() string {
	var b strings.Builder
	image := func(name, context, tag, args string, axes ...string) {
		fmt.Fprintf(&b, "\n[[image]]\nname = %q\ncontext = %q\ntags = [%q]\n", name, context, s.host+"/"+tag)
		if args != "" {
			fmt.Fprintf(&b, "args = { %s }\n", args)
		}
		if len(axes) > 0 {
			fmt.Fprintf(&b, "matrix = { %s }\n", strings.Join(axes, ", "))
		}
	}
	axis := func(name string, values []string) string { return name + ` = ["` + strings.Join(values, `", "`) + `"]` }
	system, language, flavour := axis("system", graphSystems), axis("language", graphLanguages), axis("flavour", graphFlavours)
	b.WriteString("[defaults]\nplatforms = [\"linux/amd64\"]\n")
	image("os-${system}", "base/os", "base/os:${system}", `SYSTEM = "${system}"`, system)
	image("builder-${system}", "base/builder", "base/builder:${system}", `SYSTEM = "${system}"`, system)
	image("language-${system}-${language}", "base/language", "base/language:${language}-${system}", `SYSTEM = "${system}", VERSION = "${language}"`,
		system, language)
	image("flavour-${flavour}", "base/flavour", "base/flavour:${flavour}", `FLAVOUR = "${flavour}"`, flavour)
	for _, name := range graphCommons {
		image(name, "base/"+name, "base/"+name+":1", "")
	}
	for k := range s.tools {
		name := toolName(k)
		tag := "tools/" + name + ":${language}-${system}-${flavour}"
		if s.oneEach {
			tag = "tools/" + name + "-${language}-${system}-${flavour}:1"
		}
		image(name+"-${system}-${language}-${flavour}", "tools/"+name, tag,
			`SYSTEM = "${system}", LANGUAGE = "${language}", FLAVOUR = "${flavour}", VERSION = "1.`+fmt.Sprint(k)+`"`, system, language, flavour)
	}
	return b.String()
}

// baseContexts writes the bases: those of systems begin with an image outside the graph.
func (s *graphSite) baseContexts(texts map[string]string) {
	texts["base/os/Dockerfile"] = "ARG SYSTEM\nFROM " + s.host + "/outside/${SYSTEM}:latest\n" +
		"RUN update-packages && install-packages ca-certificates tzdata\nCOPY etc/ /etc/\nENV LANG=C.UTF-8\n"
	texts["base/builder/Dockerfile"] = "ARG SYSTEM\nFROM " + s.host + "/base/os:${SYSTEM}\nRUN install-packages gcc make git\nCOPY bin/ /usr/local/bin/\n"
	texts["base/language/Dockerfile"] = "ARG SYSTEM\nFROM " + s.host + "/base/os:${SYSTEM}\nARG VERSION\nENV LANGUAGE_VERSION=$VERSION\n" +
		"COPY install.sh keys/ /tmp/\nRUN /tmp/install.sh $VERSION\n"
	texts["base/flavour/Dockerfile"] = "FROM scratch\nARG FLAVOUR\nCOPY ${FLAVOUR}/ /etc/flavour/\n"
	for _, name := range graphCommons {
		texts["base/"+name+"/Dockerfile"] = "FROM scratch\nCOPY . /\n"
		fill(texts, "base/"+name+"/bin", 6, 40<<10)
	}
	fill(texts, "base/os/etc", 12, 2<<10)
	fill(texts, "base/builder/bin", 8, 16<<10)
	fill(texts, "base/language/keys", 4, 4<<10)
	texts["base/language/install.sh"] = "#!/bin/sh\nset -e\nfetch \"$1\"\n"
	for _, flavour := range graphFlavours {
		fill(texts, "base/flavour/"+flavour, 3, 1<<10)
	}
}

// toolContext writes a tool: sources in folders, files that its Dockerfile's target does not reach, and some that .dockerignore leaves out.
func (s *graphSite) toolContext(texts map[string]string, k int) {
	dir := "tools/" + toolName(k)
	texts[dir+"/.dockerignore"] = "# not sent\n.git\ndocs\n**/*.md\n!README.md\n**/testdata\n*.log\n"
	texts[dir+"/go.mod"] = "module " + toolName(k) + "\n"
	texts[dir+"/README.md"] = strings.Repeat("About "+toolName(k)+".\n", 50)
	fill(texts, dir+"/src", 8, 12<<10)
	fill(texts, dir+"/src/internal/parts", 12, 8<<10)
	fill(texts, dir+"/src/testdata", 4, 4<<10)
	fill(texts, dir+"/conf", 4, 1<<10)
	fill(texts, dir+"/tests", 6, 6<<10)
	fill(texts, dir+"/docs", 5, 10<<10)
	texts[dir+"/Dockerfile"] = strings.ReplaceAll(toolDockerfile, "REGISTRY", s.host)
}

const toolDockerfile = `ARG SYSTEM=bookworm
ARG LANGUAGE=3.14
ARG FLAVOUR=plain

FROM REGISTRY/base/builder:${SYSTEM} AS build
ARG TARGETARCH
ARG LANGUAGE
WORKDIR /src
COPY go.mod README.md ./
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=REGISTRY/base/debug:1,source=/bin,target=/opt/debug \
    fetch-modules && verify-modules
COPY src/ src/
ARG VERSION
RUN <<EOF
set -e
make -C src ARCH=$TARGETARCH VERSION=$VERSION LANGUAGE=$LANGUAGE
make -C src install DESTDIR=/out
EOF

FROM REGISTRY/outside/test-tools:latest AS test
COPY --from=build /src /src
COPY tests/ /src/tests/
RUN make -C /src check

FROM REGISTRY/base/flavour:${FLAVOUR} AS flavour

FROM REGISTRY/base/language:${LANGUAGE}-${SYSTEM}
ARG VERSION
ENV TOOL_VERSION=$VERSION PATH=/opt/tool/bin:$PATH
LABEL org.opencontainers.image.version="$VERSION"
RUN groupadd -r tool && useradd -r -g tool tool
COPY --from=REGISTRY/base/certs:1 /bin/ /etc/ssl/certs/
COPY --from=REGISTRY/base/init:1 /bin/ /sbin/
COPY --from=flavour /etc/flavour/ /etc/flavour/
COPY --from=build --chown=tool:tool /out/ /opt/tool/
COPY --chmod=0644 conf/ /etc/tool/
USER tool
WORKDIR /work
EXPOSE 8080
ENTRYPOINT ["/sbin/init", "--", "/opt/tool/bin/tool"]
`

// fill makes n files of about a size, each of other bytes.
func fill(texts map[string]string, dir string, n, size int) {
	for i := range n {
		name := fmt.Sprintf("%s/file%02d.txt", dir, i)
		line := "content of " + name + "\n"
		texts[name] = strings.Repeat(line, 1+size*(i+1)/n/len(line))
	}
}

// touch changes a file that all images of a tool read, and returns what makes it as it was.
func (s *graphSite) touch(tool int) (back func() error, err error) {
	file := filepath.Join(s.dir, "tools", toolName(tool), "src", "internal", "parts", "file03.txt")
	was, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return func() error { return os.WriteFile(file, was, 0o644) }, os.WriteFile(file, append([]byte("changed\n"), was...), 0o644)
}
