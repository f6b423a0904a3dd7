package strictjson

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// decoder writes nodes into Go values.
type decoder struct {
	doc   document
	path  path
	known map[reflect.Type][]goField
}

// goField is a field of a Go struct; index is for reflect.Value.FieldByIndex, as embedded structs count as their fields.
type goField struct {
	name     string
	index    []int
	optional bool
}

func newDecoder(doc document) *decoder {
	return &decoder{doc: doc, known: map[reflect.Type][]goField{}}
}

func (d *decoder) into(root node, dst any) error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic("strictjson: dst is not a pointer to a struct")
	}
	return d.object(root, v.Elem())
}

func (d *decoder) fail(code diag.Code, offset int, what, hint string) error {
	return d.doc.fail(code, offset, d.path, what, hint)
}

func (d *decoder) wrongType(n node, want string) error {
	return d.fail(diag.WrongType, n.offset, fmt.Sprintf("%s where %s is expected", n.kind, want), "gantry schema STAGE shows the types")
}

func (d *decoder) object(n node, v reflect.Value) error {
	if n.kind != kindObject {
		return d.wrongType(n, "an object")
	}
	fields := d.fieldsOf(v.Type())
	for _, f := range n.fields {
		target, ok := find(fields, f.key)
		if !ok {
			return d.unknown(f, fields)
		}
		d.path = append(d.path, step{name: f.key})
		if err := d.value(f.value, v.FieldByIndex(target.index), target.optional); err != nil {
			return err
		}
		d.path = d.path[:len(d.path)-1]
	}
	return nil
}

func find(fields []goField, name string) (goField, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return goField{}, false
}

func (d *decoder) unknown(f field, fields []goField) error {
	hint := "remove it; gantry schema STAGE lists the fields"
	if near := nearestField(f.key, fields); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	d.path = append(d.path, step{name: f.key})
	return d.fail(diag.UnknownField, f.offset, fmt.Sprintf("unknown field %q", f.key), hint)
}

// fieldsOf lists the fields that a struct has in JSON, those of embedded structs with them.
func (d *decoder) fieldsOf(t reflect.Type) []goField {
	if fields, ok := d.known[t]; ok {
		return fields
	}
	var fields []goField
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			for _, inner := range d.fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				fields = append(fields, inner)
			}
			continue
		}
		if name == "-" || name == "" || !f.IsExported() {
			continue
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero") || f.Type.Kind() == reflect.Pointer
		fields = append(fields, goField{name: name, index: []int{i}, optional: optional})
	}
	d.known[t] = fields
	return fields
}

// value writes n into v; null leaves v empty where it is optional.
func (d *decoder) value(n node, v reflect.Value, optional bool) error {
	if n.kind == kindNull && optional {
		v.SetZero()
		return nil
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), false)
	}
	if done, err := d.custom(n, v); done {
		return err
	}
	switch v.Kind() {
	case reflect.Struct:
		v.SetZero()
		return d.object(n, v)
	case reflect.Slice:
		return d.list(n, v)
	case reflect.Map:
		return d.mapping(n, v)
	default:
		return d.scalar(n, v)
	}
}

// custom hands n to a type that reads itself.
func (d *decoder) custom(n node, v reflect.Value) (done bool, err error) {
	switch u := v.Addr().Interface().(type) {
	case json.Unmarshaler:
		if n.kind == kindNull {
			return true, d.wrongType(n, "a value")
		}
		err = u.UnmarshalJSON(n.appendJSON(nil))
	case encoding.TextUnmarshaler:
		if n.kind != kindString {
			return true, d.wrongType(n, "a string")
		}
		err = u.UnmarshalText([]byte(n.text))
	default:
		return false, nil
	}
	if err != nil {
		err = d.fail(diag.InvalidValue, n.offset, err.Error(), "correct the value")
	}
	return true, err
}

func (d *decoder) list(n node, v reflect.Value) error {
	if n.kind != kindArray {
		return d.wrongType(n, "an array")
	}
	list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		d.path = append(d.path, step{index: i})
		if err := d.value(item, list.Index(i), false); err != nil {
			return err
		}
		d.path = d.path[:len(d.path)-1]
	}
	v.Set(list)
	return nil
}

func (d *decoder) mapping(n node, v reflect.Value) error {
	if n.kind != kindObject {
		return d.wrongType(n, "an object")
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.fields))
	for _, f := range n.fields {
		d.path = append(d.path, step{name: f.key})
		item := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(f.value, item, false); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(f.key).Convert(v.Type().Key()), item)
		d.path = d.path[:len(d.path)-1]
	}
	v.Set(m)
	return nil
}

func (d *decoder) scalar(n node, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		if n.kind != kindString {
			return d.wrongType(n, "a string")
		}
		v.SetString(n.text)
	case reflect.Bool:
		if n.kind != kindBool {
			return d.wrongType(n, "true or false")
		}
		v.SetBool(n.text == "true")
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n.kind != kindNumber {
			return d.wrongType(n, "a whole number")
		}
		i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
		if err != nil {
			return d.fail(diag.WrongType, n.offset, n.text+" is not a whole number of the size that is expected", "write digits only")
		}
		v.SetInt(i)
	default:
		panic(fmt.Sprintf("strictjson: no decoding into %s", v.Type()))
	}
	return nil
}

// appendJSON writes n as JSON again, for types that read themselves.
func (n node) appendJSON(b []byte) []byte {
	switch n.kind {
	case kindString:
		return appendString(b, n.text)
	case kindArray:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendJSON(b)
		}
		return append(b, ']')
	case kindObject:
		b = append(b, '{')
		for i, f := range n.fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, f.key), ':')
			b = f.value.appendJSON(b)
		}
		return append(b, '}')
	default:
		return append(b, n.text...)
	}
}

func appendString(b []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return append(b, quoted...)
}
