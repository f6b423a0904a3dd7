package sourcehash

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/buildcontext"
	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/dockerfile"
)

// kinds has instructions of all kinds.
const kinds = `# syntax=docker/dockerfile:1
ARG TAG=1
FROM --platform=$BUILDPLATFORM tool:$TAG AS tool
ENV OUT=/out
RUN --mount=type=bind,source=src,target=/src --mount=type=cache,id=c1,target=/cache --mount=type=secret,id=s1 --network=none tool
FROM base
ARG MODE=fast HTTP_PROXY
ENV MODE=$MODE A="b c"
SHELL ["/bin/ash", "-c"]
WORKDIR /w
USER 1:1
LABEL l=1
EXPOSE 80
VOLUME /v
STOPSIGNAL 9
HEALTHCHECK --interval=1s CMD check
COPY --from=tool --chown=1 --chmod=644 /out /in
COPY --from=other:1 /a /
COPY --link --exclude=*.md src /src
ADD --unpack=false run.sh /
ADD --checksum=sha256:1111111111111111111111111111111111111111111111111111111111111111 https://example.org/x /
ADD --keep-git-dir=true https://example.org/y.git#1111111111111111111111111111111111111111:sub /
COPY <<E /h
hello $MODE
E
RUN <<E
one
E
RUN --mount=from=other:2,target=/m --security=sandbox x
ONBUILD COPY trigger /
CMD ["a", "b"]
ENTRYPOINT run
`

func kindsSite(t *testing.T) *site {
	s := newSite(t)
	s.text = kinds
	s.write("src/c.md", "left out")
	return s
}

// TestHash_instructions: each edit makes another image, and so another hash.
func TestHash_instructions(t *testing.T) {
	before := Hash(kindsSite(t).lines())
	for _, edit := range [][2]string{
		{"TAG=1", "TAG=2"},
		{"$BUILDPLATFORM", "linux/arm64"},
		{"ENV OUT=/out", "ENV OUT=/in"},
		{"source=src", "source=src/a.c"},
		{"target=/src", "target=/s"},
		{"id=c1", "id=c2"},
		{"id=s1", "id=s2"},
		{"--network=none ", ""},
		{"FROM base", "FROM base:2"},
		{"MODE=fast", "MODE=slow"},
		{"fast HTTP_PROXY", "fast"},
		{`A="b c"`, `A=b\ c`},
		{`"/bin/ash", "-c"`, `"/bin/ash -c"`},
		{"WORKDIR /w", "WORKDIR w"},
		{"USER 1:1", "USER 1"},
		{"LABEL l=1", "LABEL l=2"},
		{"EXPOSE 80", "EXPOSE 81"},
		{"VOLUME /v\n", "VOLUME /w\n"},
		{"STOPSIGNAL 9", "STOPSIGNAL 15"},
		{"interval=1s", "interval=2s"},
		{"CMD check", "CMD test"},
		{"--chown=1 ", "--chown=2 "},
		{"--chmod=644", "--chmod=755"},
		{"/out /in", "/out /on"},
		{"other:1", "other:3"},
		{"--link ", ""},
		{"--exclude=*.md ", "--exclude=*.c "},
		{"--exclude=*.md ", ""},
		{"=false run.sh", "=true run.sh"},
		{"/x /\n", "/z /\n"},
		{"sha256:1", "sha256:2"},
		{"--keep-git-dir=true ", ""},
		{":sub", ":other"},
		{"hello $", "hullo $"},
		{"COPY <<E", "COPY <<'E'"},
		{"\none\n", "\ntwo\n"},
		{"RUN <<E", "RUN <<'E'"},
		{"other:2", "other:4"},
		{"=sandbox", "=insecure"},
		{"COPY trigger", "COPY other"},
		{`"a", "b"`, `"a b"`},
		{"ENTRYPOINT run", `ENTRYPOINT ["run"]`},
		{"# syntax=docker/dockerfile:1\n", ""},
		{"dockerfile:1\n", "dockerfile:2\n"},
		{"WORKDIR /w\nUSER 1:1", "USER 1:1\nWORKDIR /w"},
		{"--from=tool ", "--from=tool:1 "},
	} {
		s := kindsSite(t)
		s.edit(edit[0], edit[1])
		if Hash(s.lines()) == before {
			t.Errorf("%q for %q has the same hash", edit[1], edit[0])
		}
	}
}

// TestHash_stays: hashes that are in registries hold for later versions too. Where that cannot be, the salt has to change, and this says so.
func TestHash_stays(t *testing.T) {
	var list []Line
	for _, l := range kindsSite(t).lines() {
		if l.Kind != File { // whose modes depend on the umask
			list = append(list, l)
		}
	}
	list = append(list, Files("", []buildcontext.Entry{
		{Path: "f", Mode: 0o644, Digest: cas.DigestOf(nil)}, {Path: "d", Mode: fs.ModeDir | 0o755}, {Path: "l", Mode: fs.ModeSymlink, Link: "f"},
	})...)
	const want = "sha256:fc485dd1984ff6f9c26c6962b1ecf0983745a5fe96604e43b5cf5819596a4cf0"
	if got := Hash(list); got != want {
		t.Errorf("got %s", got)
	}
}

// TestHash_around: so does all that the instructions read, and nothing else.
func TestHash_around(t *testing.T) {
	before := Hash(kindsSite(t).lines())
	for name, do := range map[string]func(*site){
		"a file of a mount":             func(s *site) { s.write("src/b.c", "new") },
		"a file that only a mount has":  func(s *site) { s.write("src/new.md", "left out by COPY") },
		"a mode":                        func(s *site) { _ = os.Chmod(filepath.Join(s.dir, "src/b.c"), 0o600) },
		"an empty folder":               func(s *site) { _ = os.Mkdir(filepath.Join(s.dir, "src/empty"), 0o755) },
		"a file that is ignored":        func(s *site) { s.write(".dockerignore", "src/a.c") },
		"an intermediate image":         func(s *site) { s.images["tool"] = "new" },
		"the final base":                func(s *site) { s.images["base"] = "new" },
		"an image of a mount":           func(s *site) { s.images["other:2"] = "new" },
		"a proxy that a stage declares": func(s *site) { s.options.Args["HTTP_PROXY"] = "http://p" },
		"the date of the source":        func(s *site) { s.options.Args["SOURCE_DATE_EPOCH"] = "1" },
		"the builder's platform":        func(s *site) { s.options.Builder = dockerfile.Platform{OS: "linux", Architecture: "arm64"} },
		"a named image":                 func(s *site) { s.options.Contexts = map[string]string{"base": "docker-image://base:9"} },
		"a trigger of the base": func(s *site) {
			s.options.Config = func(i dockerfile.Image) (*dockerfile.Config, error) {
				if strings.Contains(i.Reference, "base") {
					return &dockerfile.Config{OnBuild: []string{"RUN triggered"}}, nil
				}
				return &dockerfile.Config{}, nil
			}
		},
	} {
		s := kindsSite(t)
		do(s)
		if Hash(s.lines()) == before {
			t.Errorf("%s does not change the hash", name)
		}
	}
	s := kindsSite(t)
	s.options.Args["HTTPS_PROXY"] = "http://p" // which no stage declares: BuildKit does not let it change what it caches
	s.options.Args["SOMETHING"] = "else"
	s.options.Contexts = map[string]string{"unused": "docker-image://x"}
	if Hash(s.lines()) != before {
		t.Error("what nothing reads counts")
	}
}
