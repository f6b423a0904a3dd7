package imagelist

import "testing"

// TestInterpolate has the forms of the Compose specification, with a variable that is set, one that is empty and one that is not set.
func TestInterpolate(t *testing.T) {
	getenv := func(name string) (string, bool) {
		v, ok := map[string]string{"SET": "v", "EMPTY": "", "_x1": "y"}[name]
		return v, ok
	}
	for text, want := range map[string]string{
		"$SET.": "v.", "${SET}x": "vx", "$_x1": "y", "$$SET": "$SET", "$$$SET": "$v", "$1 $ $-": "$1 $ $-", "$EMPTY|": "|",
		"${SET:-d}": "v", "${EMPTY:-d}": "d", "${GONE:-d}": "d", "${SET-d}": "v", "${EMPTY-d}": "", "${GONE-d}": "d",
		"${SET:?e}": "v", "${SET?e}": "v", "${EMPTY?e}": "", "${SET:+r}": "r", "${EMPTY:+r}": "", "${GONE:+r}": "", "${SET+r}": "r",
		"${EMPTY+r}": "r", "${GONE+r}": "", "${GONE:-${SET}}": "v", "${GONE:-${GONE:-$SET}}!": "v!", "${GONE:-a}b}": "ab}", "${GONE-}": "", "[$GONE${GONE}${GONE:-$GONE}]": "[]",
		"${GONE:-$$x}": "$x", "${GONE:-a:b-c?d}": "a:b-c?d", "${SET:-$GONE}": "v",
	} {
		if got, err := (&interpolation{getenv: getenv, empty: func(string) {}}).expand(text); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"${EMPTY:?e}", "${GONE?e}", "${}", "${", "${SET/a/b}", "${SET:}", "${ SET}", "${GONE?$GONE}"} {
		if got, err := (&interpolation{getenv: getenv, empty: func(string) {}}).expand(text); err == nil {
			t.Errorf("%s: got %q and no error", text, got)
		}
	}
}
