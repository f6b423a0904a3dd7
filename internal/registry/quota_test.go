package registry

import (
	"net/http"
	"testing"
)

func TestQuota(t *testing.T) {
	for _, test := range []struct{ limit, remaining, want string }{
		{"100;w=21600", "0;w=21600", "100 in 6h, none left"},
		{"200;w=21600", "76;w=21600", "200 in 6h"},
		{"10, 10;w=1;window=1", "0", "10 in 1s, none left"},
		{"100", "0", ""},
		{"", "", ""},
		{"x;w=1", "0", ""},
		{"-1;w=60", "0", ""},
		{"1;w=99999999999999999999", "0", ""},
		{"1;w=0", "0", ""},
		{" 60 ; w=90 ", "", "60 in 1m30s"},
	} {
		h := http.Header{}
		h.Set("RateLimit-Limit", test.limit)
		h.Set("RateLimit-Remaining", test.remaining)
		q := quotaOf(h)
		got := q.String()
		if q.none {
			got += ", none left"
		}
		if got != test.want {
			t.Errorf("%q, %q: got %q, want %q", test.limit, test.remaining, got, test.want)
		}
	}
}
