package layer

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

var lastModified = regexp.MustCompile(`"Name":"Last-Modified","Value":"([^"]*)"`)

// The file is what dotnet publish of SDK 10.0.401 wrote for a web app with compressed assets.
func TestRewritePublishedEndpoints(t *testing.T) {
	data, err := os.ReadFile("testdata/published.staticwebassets.endpoints.json")
	must(t, err)
	asked := map[string]int64{}
	got, err := RewriteEndpoints(data, func(asset string) int64 {
		asked[asset] = 1_000_000 + int64(len(asset))
		return asked[asset]
	})
	must(t, err)
	if len(got) != len(data) {
		t.Errorf("%d bytes, want %d as before", len(got), len(data))
	}
	blank := func(b []byte) string { return lastModified.ReplaceAllString(string(b), "") }
	if blank(got) != blank(data) {
		t.Error("more than the dates has changed")
	}
	for _, asset := range []string{"css/site.css", "css/site.css.br", "css/site.css.gz", "img d/ä%&.png", "tiny.txt.gz"} {
		if asked[asset] == 0 {
			t.Errorf("no time was asked for %q", asset)
		}
	}
	var doc struct {
		Endpoints []struct {
			AssetFile       string
			ResponseHeaders []struct{ Name, Value string }
		}
	}
	must(t, json.Unmarshal(got, &doc))
	for _, e := range doc.Endpoints {
		for _, h := range e.ResponseHeaders {
			if want := time.Unix(asked[e.AssetFile], 0).UTC().Format(httpDate); h.Name == "Last-Modified" && h.Value != want {
				t.Errorf("%s: %s, want %s", e.AssetFile, h.Value, want)
			}
		}
	}
}

func TestRewriteEndpoints(t *testing.T) {
	const date = `"Thu, 01 Jan 1970 00:00:07 GMT"`
	seven := func(string) int64 { return 7 }
	tests := []struct{ name, in, want string }{
		{
			"order, space and escapes", `{ "Endpoints" : [ {"ResponseHeaders":[ {"Value" : "x\"\u0041" , "Name":"last-modified","More":{"Value":"k"}} ],"AssetFile":"a\u0062"} ] }` + "\r\n",
			`{ "Endpoints" : [ {"ResponseHeaders":[ {"Value" : ` + date + ` , "Name":"last-modified","More":{"Value":"k"}} ],"AssetFile":"a\u0062"} ] }` + "\r\n",
		},
		{"other headers stay", `{"Endpoints":[{"AssetFile":"a","ResponseHeaders":[{"Name":"ETag","Value":"Last-Modified"}]}]}`, ""},
		{"the same name elsewhere stays", `{"Last-Modified":"x","Endpoints":[{"AssetFile":"a","Selectors":[{"Name":"Last-Modified","Value":"x"}],"ResponseHeaders":[]}]}`, ""},
		{"no endpoints", `{"Version":1}`, ""},
		{
			"two dates", `{"Endpoints":[{"ResponseHeaders":[{"Name":"Last-Modified","Value":""},{"Name":"Last-Modified","Value":"long, long, longer than a date of HTTP"}]}]}`,
			`{"Endpoints":[{"ResponseHeaders":[{"Name":"Last-Modified","Value":` + date + `},{"Name":"Last-Modified","Value":` + date + `}]}]}`,
		},
	}
	for _, tt := range tests {
		if tt.want == "" {
			tt.want = tt.in
		}
		if got, err := RewriteEndpoints([]byte(tt.in), seven); err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n got %s\nwant %s", tt.name, err, got, tt.want)
		}
	}
	for _, in := range []string{
		``, `[]`, `{`, `{}x`, `{} {}`, `{"Endpoints":1}`, `{"Endpoints":[1]}`, `{"Endpoints":[{"AssetFile":1}]}`, `{"Endpoints":[{"ResponseHeaders":{}}]}`,
		`{"Endpoints":[{"ResponseHeaders":[{"Name":"Last-Modified","Value":1}]}]}`, `{"Endpoints":[{"AssetFile":"a","AssetFile":"b"}]}`, "\ufeff{}",
	} {
		if got, err := RewriteEndpoints([]byte(in), seven); err == nil {
			t.Errorf("%s: no error, %s", in, got)
		}
	}
}

func TestIsStatic(t *testing.T) {
	for path, want := range map[string][2]bool{
		"wwwroot/a": {true, false}, "wwwroot": {}, "sub/wwwroot/a": {}, "wwwroots/a": {},
		"web.staticwebassets.endpoints.json": {false, true}, "sub/web.staticwebassets.endpoints.json": {},
		"wwwroot/web.staticwebassets.endpoints.json": {true, false},
	} {
		if got := [2]bool{IsStatic(path), IsEndpoints(path)}; got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

// Whatever comes in: an error, or a document that is the same but for dates, and that a second rewriting leaves alone.
func FuzzRewriteEndpoints(f *testing.F) {
	f.Add([]byte(`{"Endpoints":[{"AssetFile":"a","ResponseHeaders":[{"Name":"Last-Modified","Value":"x"}]}]}`))
	f.Add([]byte(`{"Version":1,"Endpoints":[{"Selectors":[{"Name":"x","Value":[1e9]}]}]}`))
	timeOf := func(asset string) int64 { return int64(len(asset)) }
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := RewriteEndpoints(data, timeOf)
		if err != nil {
			return
		}
		twice, err := RewriteEndpoints(once, timeOf)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("second rewriting: %v\n%s\n%s", err, once, twice)
		}
		if !strings.Contains(strings.ToLower(string(data)), "modified") && !bytes.ContainsRune(data, '\\') && !bytes.Equal(once, data) {
			t.Fatalf("changed without a date:\n%s\n%s", data, once)
		}
	})
}
