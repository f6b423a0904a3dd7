package tomltext

// Tables returns the value of an array of tables, [[x]] or x = [{…}, …]; a key that is not there, nil, is an empty one. It is false for anything
// else.
func Tables(v any) ([]map[string]any, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case []map[string]any:
		return v, true
	case []any:
		list := make([]map[string]any, 0, len(v))
		for _, e := range v {
			t, ok := e.(map[string]any)
			if !ok {
				return nil, false
			}
			list = append(list, t)
		}
		return list, true
	}
	return nil, false
}
