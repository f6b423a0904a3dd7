package progress

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                   "1s",
		1400 * time.Millisecond:             "1s",
		10 * time.Second:                    "10s",
		time.Minute:                         "1m",
		10*time.Minute + 30*time.Second:     "10m30s",
		time.Hour:                           "1h",
		20*time.Hour + 29*time.Second:       "20h",
		time.Hour + 59*time.Minute + 1e9*40: "2h",
		6*time.Hour + 10*time.Minute:        "6h10m",
	} {
		if got := Words(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}
