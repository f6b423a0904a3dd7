package scan

import (
	"os"
	"testing"

	"github.com/gantry-build/gantry/internal/published"
)

// TestLeftovers takes items away. The list is compared with that of a scan that knows nothing, but for what has to be left out.
func TestLeftovers(t *testing.T) {
	drop := func(s *site, name string) {
		for i, item := range s.req.Items {
			if item.Path == name {
				s.req.Items = append(s.req.Items[:i:i], s.req.Items[i+1:]...)
				return
			}
		}
		s.Fatalf("no item %s", name)
	}
	tests := []struct {
		name string
		do   func(s *site)
		left []string
	}{
		{"no item names it", func(s *site) { drop(s, "a.dll") }, []string{"a.dll"}},
		{"nor any of its folder", func(s *site) { drop(s, "sub/c.txt") }, []string{"sub", "sub/c.txt"}},
		{"its folder has a file of somebody", func(s *site) { write(s, s.dir, "sub/own", "1"); drop(s, "sub/c.txt") }, []string{"sub/c.txt"}},
		{"the SDK deleted it", func(s *site) { drop(s, "sub/c.txt"); must(s, os.Remove(s.path("sub/c.txt"))) }, []string{"sub"}},
		{"an empty folder of somebody", func(s *site) { must(s, os.Mkdir(s.path("own"), 0o755)); drop(s, "a.dll") }, []string{"a.dll"}},
		{"written since, same content", func(s *site) { drop(s, "a.dll"); copyAll(s, s.source("a.dll"), s.path("a.dll")) }, nil},
		{"written since", func(s *site) { drop(s, "a.dll"); s.sign() }, nil},
		{"the name differs in case only", func(s *site) {
			drop(s, "a.dll")
			write(s, s.src, "A.dll", "upper")
			s.item("A.dll")
			s.publish()
		}, []string{"a.dll"}},
		{"no items at all", func(s *site) { s.req.Items = nil }, nil},
		{"no record", func(s *site) { drop(s, "a.dll"); must(s, os.Remove(s.req.RecordPath)) }, nil},
		{"named by an item with backslashes", func(s *site) {
			drop(s, "sub/c.txt")
			s.req.Items = append(s.req.Items, Item{Path: `sub\c.txt`, Origin: "app"})
		}, nil},
	}
	all := together{T: t}
	defer all.Wait()
	for _, tt := range tests {
		all.run(tt.name, func(t *testing.T) {
			if caseless := tt.name == "the name differs in case only"; caseless && !caseCounts {
				return
			}
			s := newSite(t)
			write(t, s.dir, "own.txt", "no item ever named it")
			s.scan()
			items := s.req.Items
			tt.do(s)
			settle()
			for range 2 {
				if caseless := tt.name == "the name differs in case only"; !caseless {
					s.scan(tt.left...)
				} else if got, err := s.tryScan(); err != nil || paths(got) != "A.dll b.json own.txt sub sub/c.txt" {
					t.Errorf("got %v, %v", got, err)
				}
				for _, l := range tt.left {
					if fi, err := os.Stat(s.path(l)); err != nil {
						t.Errorf("%s was deleted: %v", l, err)
					} else if !fi.IsDir() {
						s.says("GANTRY4017", l, "CopyToPublishDirectory")
					}
				}
				if tt.left == nil {
					s.silent()
				}
			}
			if tt.name == "no item names it" {
				s.req.Items = items // switched to a branch and back
				s.publish()
				s.scan()
				s.silent()
			}
		})
	}
}

// TestManyLeftovers bounds what is told.
func TestManyLeftovers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	kept := s.req.Items
	var left []string
	for _, c := range "abcdefgh" {
		name := "x" + string(c)
		write(t, s.src, name, name)
		s.item(name)
		left = append(left, name)
	}
	s.publish()
	s.scan()
	s.req.Items = kept
	s.scan(left...)
	s.says("xa", "xe", "3 more files")
	r, err := published.Read(s.req.RecordPath, s.dir)
	must(t, err)
	if !r.Files["xh"].Named {
		t.Errorf("got %+v", r)
	}
}
