package strictjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
)

type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type header struct {
	Stage    string `json:"stage"`
	Encoding string `json:"encoding,omitempty"`
}

type sample struct {
	header
	Size   int64             `json:"size"`
	Level  *int              `json:"level,omitempty"`
	On     bool              `json:"on"`
	Labels []pair            `json:"labels"`
	Tags   []string          `json:"tags"`
	Digest cas.Digest        `json:"digest,omitempty"`
	Extra  map[string]string `json:"extra,omitempty"`
	Raw    json.RawMessage   `json:"raw,omitempty"`
	Nested struct{ A pair }  `json:"-"`
}

func TestDecode(t *testing.T) {
	level := 6
	tests := []struct {
		name, doc string
		want      sample
	}{
		{"empty", `{}`, sample{}},
		{"byte order mark", "\ufeff{\"size\":1}", sample{Size: 1}},
		{"all", ` {"stage":"push","size":-12,"level":6,"on":true,"labels":[{"name":"a","value":"b"}],"tags":["x","y"],"extra":{"k":"v"},"raw":{"a":[1,"\n",null]}} `, sample{
			header: header{Stage: "push"}, Size: -12, Level: &level, On: true, Labels: []pair{{"a", "b"}},
			Tags: []string{"x", "y"}, Extra: map[string]string{"k": "v"}, Raw: json.RawMessage(`{"a":[1,"\n",null]}`),
		}},
		{"escapes", `{"stage":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0001é😀"}`, sample{header: header{Stage: "\"\\/\b\f\n\r\té😀\x01é😀"}}},
		{"null where optional", `{"level":null,"extra":null,"encoding":null}`, sample{}},
		{"percent", `{"stage":"100%25 %22\u0041%5C%0a%0D%09%3B%C3%A9","encoding":"percent","extra":{"%41":"%41"},"tags":["%78"]}`, sample{
			header: header{Stage: "100% \"A\\\n\r\t;é", Encoding: "percent"}, Extra: map[string]string{"%41": "A"}, Tags: []string{"x"},
		}},
		{"plain keeps percent signs", `{"stage":"%41"}`, sample{header: header{Stage: "%41"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got sample
			if err := Decode("r.json", []byte(test.doc), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(sample{}, header{})); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

func TestDecode_over(t *testing.T) {
	got := sample{header: header{Stage: "push"}, Size: 1, Tags: []string{"a", "b"}, Labels: []pair{{"k", "v"}}, Extra: map[string]string{"x": "y"}}
	if err := Decode("r.json", []byte(`{"tags":["c"],"labels":[{"name":"n"}],"extra":{}}`), &got); err != nil {
		t.Fatal(err)
	}
	want := sample{header: header{Stage: "push"}, Size: 1, Tags: []string{"c"}, Labels: []pair{{Name: "n"}}, Extra: map[string]string{}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{}, header{})); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

func TestDecode_refused(t *testing.T) {
	tests := []struct {
		name, doc string
		code      diag.Code
		text      string
	}{
		{"unknown field", "{\n \"sizee\": 1}", diag.UnknownField, `r.json:2:2: sizee: unknown field "sizee"; did you mean "size"?`},
		{"unknown nested field", `{"labels":[{},{},{"name":"a","valve":"b"}]}`, diag.UnknownField, `r.json:1:30: labels[2].valve: unknown field "valve"; did you mean "value"?`},
		{"other case", `{"Size":1}`, diag.UnknownField, `did you mean "size"?`},
		{"nothing near", `{"colour":1}`, diag.UnknownField, `unknown field "colour"; remove it`},
		{"no name in JSON", `{"Nested":1}`, diag.UnknownField, "Nested"},
		{"duplicate", `{"size":1,"on":true,"size":1}`, diag.DuplicateKey, "r.json:1:21: size: the same key a second time"},
		{"duplicate by escape", `{"size":1,"\u0073ize":1}`, diag.DuplicateKey, "size"},
		{"nested duplicate", `{"labels":[{"name":"a","name":"b"}]}`, diag.DuplicateKey, "labels[0].name"},
		{"duplicate in a raw value", `{"raw":{"a":{"b":1,"b":2}}}`, diag.DuplicateKey, "raw.a.b"},
		{"string for number", `{"size":"1"}`, diag.WrongType, "r.json:1:9: size: a string where a whole number is expected"},
		{"number for string", `{"stage":1}`, diag.WrongType, "a number where a string"},
		{"string for boolean", `{"on":"true"}`, diag.WrongType, "true or false"},
		{"object for array", `{"tags":{}}`, diag.WrongType, "tags: an object where an array"},
		{"array for object", `{"labels":[[]]}`, diag.WrongType, "labels[0]: an array where an object"},
		{"array for map", `{"extra":[]}`, diag.WrongType, "extra: an array where an object"},
		{"number in map", `{"extra":{"a":1}}`, diag.WrongType, "extra.a: a number"},
		{"number for digest", `{"digest":1}`, diag.WrongType, "digest: a number where a string"},
		{"null for string", `{"stage":null}`, diag.WrongType, "stage: null where a string"},
		{"null for array", `{"tags":null}`, diag.WrongType, "null where an array"},
		{"null in array", `{"tags":[null]}`, diag.WrongType, "tags[0]: null"},
		{"fraction", `{"size":1.5}`, diag.WrongType, "1.5 is not a whole number"},
		{"exponent", `{"size":1e3}`, diag.WrongType, "1e3 is not a whole number"},
		{"too large", `{"size":9223372036854775808}`, diag.WrongType, "9223372036854775808"},
		{"not an object", `[]`, diag.WrongType, "the document is an array, not an object"},
		{"bad digest", `{"digest":"sha256:12"}`, diag.InvalidValue, `digest: "sha256:12" is not a digest`},
		{"unknown encoding", `{"encoding":"base64"}`, diag.InvalidValue, `unknown encoding "base64"`},
		{"empty document", ``, diag.MalformedJSON, "r.json:1:1: the document ends where a value is expected"},
		{"cut off", `{"size":`, diag.MalformedJSON, "the document ends where a value"},
		{"trailing data", `{} {}`, diag.MalformedJSON, "r.json:1:4: more text after the end"},
		{"trailing comma", `{"size":1,}`, diag.MalformedJSON, `'}' where a field's name`},
		{"trailing comma in array", `{"tags":["a",]}`, diag.MalformedJSON, `']' where a value`},
		{"comment", `{} // x`, diag.MalformedJSON, "more text"},
		{"single quotes", `{'size':1}`, diag.MalformedJSON, `'\'' where a field's name`},
		{"no colon", `{"size" 1}`, diag.MalformedJSON, "a colon is expected"},
		{"no comma", `{"size":1 "on":true}`, diag.MalformedJSON, "a comma or a closing brace"},
		{"leading zero", `{"size":01}`, diag.MalformedJSON, "leading zero"},
		{"plus", `{"size":+1}`, diag.MalformedJSON, "'+' where a value"},
		{"NaN", `{"size":NaN}`, diag.MalformedJSON, "'N' where a value"},
		{"open string", "{\"stage\":\"abc", diag.MalformedJSON, "r.json:1:10: stage: a string without a closing quote"},
		{"line break in string", "{\"stage\":\"abc\n\"}", diag.MalformedJSON, "without a closing quote on its line"},
		{"unknown escape", `{"stage":"\x41"}`, diag.MalformedJSON, "an escape that JSON does not know"},
		{"short escape", `{"stage":"\u12"}`, diag.MalformedJSON, "hexadecimal"},
		{"too deep", `{"raw":` + strings.Repeat("[", MaxDepth+1), diag.MalformedJSON, "levels of nesting"},
		{"control character", "{\"stage\":\"a\x01\"}", diag.ControlCharacter, "r.json:1:12: stage: control character U+0001"},
		{"half a pair", `{"stage":"\ud83d"}`, diag.ControlCharacter, "half of a surrogate pair"},
		{"half a pair and text", `{"stage":"\ud83d\u0041"}`, diag.ControlCharacter, "half of a surrogate pair"},
		{"not UTF-8", "{\"stage\":\"\xff\"}", diag.ControlCharacter, "byte 0xFF is not UTF-8"},
		{"not UTF-8 outside strings", "{\xff}", diag.ControlCharacter, "byte 0xFF is not UTF-8"},
		{"column counts characters", `{"stage":"éé","x":1}`, diag.UnknownField, "r.json:1:15:"},
		{"percent control character", `{"encoding":"percent","tags":["a","%1b"]}`, diag.ControlCharacter, "tags[1]: the text has the control character U+001B"},
		{"percent escape of JSON", `{"encoding":"percent","stage":"\u0001"}`, diag.ControlCharacter, "U+0001"},
		{"percent not UTF-8", `{"encoding":"percent","stage":"%ff"}`, diag.ControlCharacter, "not UTF-8"},
		{"percent cut off", `{"encoding":"percent","stage":"100%"}`, diag.BadPercentEncoding, "stage: a percent sign without"},
		{"percent one digit", `{"encoding":"percent","stage":"%2"}`, diag.BadPercentEncoding, "stage"},
		{"percent no digit", `{"encoding":"percent","stage":"%zz"}`, diag.BadPercentEncoding, "stage"},
		{"percent sign", `{"encoding":"percent","stage":"%+1"}`, diag.BadPercentEncoding, "stage"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Decode("r.json", []byte(test.doc), &sample{})
			if err == nil {
				t.Fatal("got no error")
			}
			if got := diag.CodeOf(err); got != test.code {
				t.Errorf("got code %s, want %s: %v", got, test.code, err)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %q, want it to contain %q", err, test.text)
			}
		})
	}
}

func TestDecode_tooLarge(t *testing.T) {
	err := Decode("r.json", make([]byte, MaxBytes+1), &sample{})
	if got := diag.CodeOf(err); got != diag.MalformedJSON {
		t.Errorf("got %v, want code %s", err, diag.MalformedJSON)
	}
}

// FuzzDecode holds the parser against encoding/json: what we accept, it accepts, with the same values.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"stage":"a\u00e9","size":1,"tags":["x"],"labels":[{"name":"n","value":"v"}],"raw":[1,2.5e3,null,true]}`,
		`{"encoding":"percent","stage":"%25"}`, `{"stage":"\ud83d\ude00"}`, "{\"stage\":\"\xff\"}", `{"size":-0}`, `{"raw":{"a":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want sample
		if err := Decode("r.json", data, &got); err != nil {
			if code := diag.CodeOf(err); code < diag.UnknownField || code > diag.BadPercentEncoding {
				t.Errorf("got code %s: %v", code, err)
			}
			return
		}
		if err := json.Unmarshal(trimBOM(data), &want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if got.Encoding == "percent" {
			return
		}
		if got.Size != want.Size || got.On != want.On || !cmp.Equal(got.Labels, want.Labels) || !cmp.Equal(got.Tags, want.Tags) || !cmp.Equal(got.Extra, want.Extra) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
