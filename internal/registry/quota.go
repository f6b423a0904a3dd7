package registry

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-build/gantry/internal/progress"
)

// quota is how many requests a server allows in a time. The zero value is not
// known.
type quota struct {
	requests int
	in       time.Duration
	none     bool // are left
}

const maxQuota = 1_000_000_000

// quotaOf reads RateLimit-Limit and RateLimit-Remaining as Docker Hub sends
// them, "100;w=21600": the number, and the seconds that it is for. Others send
// "10, 10;w=1;burst=5" (draft-ietf-httpapi-ratelimit-headers-03): the first
// window counts.
func quotaOf(h http.Header) quota {
	n, in := window(h.Get("RateLimit-Limit"))
	if n < 0 || in <= 0 {
		return quota{}
	}
	left, _ := window(h.Get("RateLimit-Remaining"))
	return quota{requests: n, in: in, none: left == 0}
}

// window reads a number and the time after w=; the number is -1 when there is
// none, and the time 0.
func window(text string) (n int, in time.Duration) {
	n = -1
	for item := range strings.SplitSeq(text, ",") {
		for k, part := range strings.Split(item, ";") {
			part = strings.TrimSpace(part)
			seconds, isWindow := strings.CutPrefix(part, "w=")
			v, err := strconv.Atoi(strings.TrimSpace(seconds))
			switch {
			case err != nil || v < 0 || v > maxQuota:
			case k == 0 && !isWindow:
				n = v
			case isWindow && n >= 0 && v > 0:
				return n, time.Duration(v) * time.Second
			}
		}
	}
	return n, 0
}

// String is such as "100 in 6h".
func (q quota) String() string {
	if q == (quota{}) {
		return ""
	}
	return fmt.Sprintf("%d in %s", q.requests, progress.Words(q.in))
}
