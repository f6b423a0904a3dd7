package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/testenv"
	"github.com/gantry-build/gantry/internal/tools/basemaker"
)

func TestTagPages(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, last string)
		stop   int
		want   []string
		code   diag.Code
	}{
		"pages": {func(w http.ResponseWriter, last string) {
			if last == "" {
				w.Header().Set("Link", `</v2/app/tags/list?n=1000&last=b>; rel="next"`)
			}
			fmt.Fprintf(w, `{"tags":["a%s","b%s"]}`, last, last)
		}, 9, []string{"a,b true", "ab,bb false"}, ""},
		"no more is wanted": {func(w http.ResponseWriter, _ string) {
			w.Header().Set("Link", `</v2/app/tags/list?n=1000&last=b>; rel="next"`)
			fmt.Fprint(w, `{"tags":["a"]}`)
		}, 1, []string{"a true"}, ""},
		"no repository": {func(w http.ResponseWriter, _ string) { w.WriteHeader(404) }, 9, nil, ""},
		"no tags":       {func(w http.ResponseWriter, _ string) { fmt.Fprint(w, `{"tags":null}`) }, 9, []string{" false"}, ""},
		"another server": {func(w http.ResponseWriter, _ string) {
			w.Header().Set("Link", `<http://127.0.0.1:1/v2/app/tags/list>; rel="next"`)
			fmt.Fprint(w, `{"tags":["a"]}`)
		}, 9, []string{"a true"}, diag.ManifestPullFailed},
		"a web page": {func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `{"tags":["a"]}`)
		}, 9, nil, diag.ManifestPullFailed},
		"denied": {func(w http.ResponseWriter, _ string) { w.WriteHeader(403) }, 9, nil, diag.RepositoryForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/tags/list") {
					return
				}
				c.answer(w, r.URL.Query().Get("last"))
			}))
			defer server.Close()
			var got []string
			r := New(Options{}).Repository(NewName(strings.TrimPrefix(server.URL, "http://"), "app"), ModePull)
			err := r.TagPages(context.Background(), func(tags []string, more bool) bool {
				got = append(got, fmt.Sprint(strings.Join(tags, ","), " ", more))
				return len(got) < c.stop
			})
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if (err != nil || c.code != "") && diag.CodeOf(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

func TestTagPages_realRegistries(t *testing.T) {
	for name, start := range testenv.Registries {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			list := func(repository string) (tags []string) {
				r := New(Options{}).Repository(NewName(server.Host(), repository), ModePull)
				err := r.TagPages(context.Background(), func(page []string, _ bool) bool {
					tags = append(tags, page...)
					return true
				})
				if err != nil {
					t.Fatal(err)
				}
				return tags
			}
			testenv.PushTinyBase(t, server, "app", "one", basemaker.TinyOptions{})
			testenv.PushTinyBase(t, server, "app", "two", basemaker.TinyOptions{})
			if d := cmp.Diff([]string{"one", "two"}, list("app")); d != "" {
				t.Error(d)
			}
			if name == "olareg" {
				return // which fails when it ends, for a repository that it was asked for and does not have
			}
			if tags := list("nowhere"); len(tags) > 0 {
				t.Error(tags)
			}
		})
	}
}
