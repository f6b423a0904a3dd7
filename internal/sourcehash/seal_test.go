package sourcehash

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSeal: a sealed list has no value that may be a secret, and the difference of two is named as that of the lists themselves.
func TestSeal(t *testing.T) {
	s := newSite(t)
	s.text += "ADD --checksum=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 https://ada:hunter2@example.org/x?sig=hunter2 /x\n" +
		"LABEL a=hunter2\n"
	s.options.Args["MODE"] = "hunter2"
	was := s.lines()
	sealed := Seal(was)
	if text := fmt.Sprint(sealed); strings.Contains(text, "hunter2") || strings.Contains(text, "ada") || !strings.Contains(text, "https://example.org/x") {
		t.Errorf("sealed: %s", text)
	}
	if !slices.Equal(sealed, Seal(was)) || Hash(sealed) == Hash(was) || !strings.Contains(fmt.Sprint(was), "hunter2") {
		t.Error("a list is sealed in its place, or not always alike")
	}
	if len(Diff(sealed, Seal(slices.Clone(was)))) != 0 {
		t.Error("equal lists are different when they are sealed")
	}
	s.options.Args["MODE"] = "hunter3"
	s.edit("RUN make", "RUN gmake")
	s.edit("sig=hunter2", "sig=hunter3")
	s.write("src/a.c", "new")
	s.images["sdk"] = "new"
	now := s.lines()
	want := slices.DeleteFunc(names(Diff(was, now)), func(name string) bool { return strings.HasPrefix(name, "source ") }) // gone, and new
	want = append(want, "source https://example.org/x")
	got := names(Diff(sealed, Seal(now)))
	slices.Sort(want)
	if slices.Sort(got); len(got) != 6 || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func names(changes []Change) []string {
	var list []string
	for _, c := range changes {
		list = append(list, strings.TrimSpace(string(c.Kind)+" "+c.Name))
	}
	return list
}
