package layer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// StaticFolder is the folder of the static web files in a publish folder.
	StaticFolder = "wwwroot/"
	// EndpointsSuffix ends the name of the list of static web endpoints that the SDK puts beside the app.
	EndpointsSuffix = ".staticwebassets.endpoints.json"
	// httpDate is the format of Last-Modified (RFC 9110, 5.6.7).
	httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"
)

// IsStatic says whether the file at path, relative to the publish folder, is served as a static web file.
func IsStatic(path string) bool { return strings.HasPrefix(path, StaticFolder) }

// IsEndpoints says whether path is the list of static web endpoints of the app.
func IsEndpoints(path string) bool {
	return strings.HasSuffix(path, EndpointsSuffix) && !strings.Contains(path, "/")
}

// RewriteEndpoints returns an endpoint list in which each Last-Modified is timeOf the file that its endpoint serves; assets
// are named relative to wwwroot, with slashes. All other bytes stay as they are: ETags are made of content by the SDK, and
// need no change. A document that is not such a list is an error, and the caller keeps the file as it is.
//
// The shape, as the SDK 9 and 10 write it: {"Endpoints": [{"AssetFile": "…", "ResponseHeaders": [{"Name": "Last-Modified",
// "Value": "…"}]}]}, in any order and with more fields.
func RewriteEndpoints(data []byte, timeOf func(asset string) int64) ([]byte, error) {
	e := &endpointEditor{data: data, dec: json.NewDecoder(bytes.NewReader(data)), timeOf: timeOf}
	e.dec.UseNumber()
	if err := e.document(); err != nil {
		return nil, fmt.Errorf("not a list of static web endpoints: %w", err)
	}
	e.out = append(e.out, data[e.copied:]...)
	return e.out, nil
}

// span is the place of a string in the document, its quotes included.
type span struct{ start, end int64 }

// endpointEditor walks the document token by token, because only tokens have places.
type endpointEditor struct {
	data   []byte
	dec    *json.Decoder
	timeOf func(string) int64
	out    []byte
	copied int64 // data up to here is in out
}

func (e *endpointEditor) document() error {
	err := e.object(func(key string) error {
		if key != "Endpoints" {
			return e.skip()
		}
		return e.array(e.endpoint)
	})
	if err != nil {
		return err
	}
	if _, err := e.dec.Token(); err != io.EOF {
		return errors.New("text after the document")
	}
	return nil
}

func (e *endpointEditor) endpoint() error {
	var asset string
	var dates []span
	err := e.object(func(key string) error {
		switch key {
		case "AssetFile":
			s, _, err := e.text()
			asset = s
			return err
		case "ResponseHeaders":
			return e.array(func() error {
				date, ok, err := e.responseHeader()
				if ok {
					dates = append(dates, date)
				}
				return err
			})
		}
		return e.skip()
	})
	if err != nil {
		return err
	}
	date := time.Unix(e.timeOf(strings.ReplaceAll(asset, `\`, "/")), 0).UTC().Format(httpDate)
	for _, d := range dates {
		e.out = append(e.out, e.data[e.copied:d.start]...)
		e.out = append(e.out, `"`+date+`"`...)
		e.copied = d.end
	}
	return nil
}

// responseHeader returns the place of the value of one header, and whether it is a Last-Modified.
func (e *endpointEditor) responseHeader() (value span, ok bool, err error) {
	var name string
	found := false
	err = e.object(func(key string) error {
		switch key {
		case "Name":
			s, _, err := e.text()
			name = s
			return err
		case "Value":
			_, at, err := e.text()
			value, found = at, true
			return err
		}
		return e.skip()
	})
	return value, found && strings.EqualFold(name, "Last-Modified"), err
}

// object reads an object and calls field after each key, which must read the value.
func (e *endpointEditor) object(field func(key string) error) error {
	if err := e.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for e.dec.More() {
		t, err := e.dec.Token()
		if err != nil {
			return err
		}
		key := t.(string) // a decoder gives no other token here
		if seen[key] {
			return fmt.Errorf("%q twice", key)
		}
		seen[key] = true
		if err := field(key); err != nil {
			return err
		}
	}
	return e.delim('}')
}

// array reads an array and calls element for each element, which must read it.
func (e *endpointEditor) array(element func() error) error {
	if err := e.delim('['); err != nil {
		return err
	}
	for e.dec.More() {
		if err := element(); err != nil {
			return err
		}
	}
	return e.delim(']')
}

func (e *endpointEditor) delim(want json.Delim) error {
	t, err := e.dec.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%v in place of %v", t, want)
	}
	return nil
}

// text reads a string and says where it is.
func (e *endpointEditor) text() (string, span, error) {
	before := e.dec.InputOffset()
	t, err := e.dec.Token()
	if err != nil {
		return "", span{}, err
	}
	s, ok := t.(string)
	if !ok {
		return "", span{}, fmt.Errorf("%v in place of a string", t)
	}
	end := e.dec.InputOffset()
	// Between the last token and the string are a colon or comma and white space.
	start := before + int64(bytes.IndexByte(e.data[before:end], '"'))
	return s, span{start, end}, nil
}

// skip reads a value of any kind.
func (e *endpointEditor) skip() error {
	var v json.RawMessage
	return e.dec.Decode(&v)
}
