package layer

import (
	"strings"
	"testing"

	"github.com/gantry-build/gantry/internal/cas"
)

func TestStaticTime(t *testing.T) {
	epoch := int64(1700000000)
	d := func(low string) cas.Digest { return cas.Digest("sha256:" + strings.Repeat("f", 64-len(low)) + low) }
	tests := []struct {
		name    string
		epoch   *int64
		created string
		digest  cas.Digest
		want    int64
	}{
		{"epoch", &epoch, "2025-01-01T00:00:00Z", d("00000"), epoch - StaticWindow},
		{"highest", &epoch, "", d("fffff"), epoch - 1},
		{"twenty bits", &epoch, "", d("100001"), epoch - StaticWindow + 1},
		{"created", nil, "2025-01-01T01:00:00.9999999+01:00", d("00002"), 1735689600 - StaticWindow + 2},
		{"no creation time", nil, "", d("00000"), DefaultTime - StaticWindow},
		{"year 1", nil, "0001-01-01T00:00:00Z", d("00000"), DefaultTime - StaticWindow},
		{"1970", nil, "1970-01-01T00:00:00Z", d("00000"), DefaultTime - StaticWindow},
		{"nonsense", nil, "yesterday", d("00000"), DefaultTime - StaticWindow},
		{"epoch 0", new(int64), "", d("00003"), 3},
	}
	for _, tt := range tests {
		if got := StaticTime(StaticBase(tt.epoch, tt.created), tt.digest); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
