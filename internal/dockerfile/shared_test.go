package dockerfile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A file that was asked for something else answers as one that was never asked.
func TestReach_shared(t *testing.T) {
	const text = `ARG BASE=a
FROM registry.test/$BASE:1 AS build
ARG DIR=src
ARG MORE
RUN --mount=type=bind,from=registry.test/tools:1,target=/t --mount=type=bind,source=$DIR,target=/s make $MORE
RUN --mount=type=cache,target=/c make more
FROM registry.test/other:$BASE AS other
COPY --exclude=*.md docs /docs
FROM build
COPY --from=build /x /y
COPY --from=other --chmod=0644 /x /y
COPY $DIR/ one two/* /to/
ADD https://example.test/$DIR.tar /
ENV A=$DIR B=$MORE
`
	arm, err := ParsePlatform("linux/arm64", Platform{})
	if err != nil {
		t.Fatal(err)
	}
	parse := func() *File {
		f, err := Parse("Dockerfile", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	shared := parse()
	triggers := func(list ...string) func(Image) (*Config, error) {
		return func(Image) (*Config, error) {
			return &Config{OnBuild: list, Env: []string{"E=" + strings.Join(list, "")}}, nil
		}
	}
	options := []Options{
		{Platform: amd64, Config: empty},
		{Platform: amd64, Config: empty, Args: map[string]string{"BASE": "b"}},
		{Platform: amd64, Config: empty, Args: map[string]string{"DIR": "lib"}},
		{Platform: amd64, Config: empty, Args: map[string]string{"DIR": "lib", "MORE": "all"}},
		{Platform: arm, Builder: amd64, Config: empty},
		{Platform: amd64, Config: empty, Target: "build"},
		{Platform: amd64, Config: empty, Target: "other"},
		{Platform: amd64, Config: triggers("COPY t /t", "RUN --mount=type=bind,source=m,target=/m x")},
		{Platform: amd64, Config: triggers("COPY --from=registry.test/late:1 /t /t")},
		{Platform: amd64, Config: triggers("ADD t /t", "RUN --mount=type=bind,source=m,target=/m x")},
		{Platform: amd64, Config: empty, Contexts: map[string]string{"registry.test/a:1": "/folder"}},
		{Platform: amd64, Config: empty, Contexts: map[string]string{"registry.test/a:1::linux/amd64": "/folder"}},
		{Platform: amd64, Config: empty, Contexts: map[string]string{"registry.test/tools:1": "/folder"}},
		{Platform: amd64, Config: empty, Contexts: map[string]string{"other": "target:x"}},
		{Platform: amd64},
	}
	for _, first := range options {
		for i, o := range options {
			if _, err := shared.Reach(first); err != nil {
				t.Fatal(err)
			}
			got, err := shared.Reach(o)
			if err != nil {
				t.Fatal(err)
			}
			want, err := parse().Reach(o)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%d: %s", i, d)
			}
		}
	}
}
