package deliver

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/outcome"
	"github.com/gantry-build/gantry/internal/registry"
)

// TestEverywhere_error: one error for all that failed, which may pass only when each of them may; and no mount from what failed.
func TestEverywhere_error(t *testing.T) {
	passes := diag.New(diag.TooManyRetries, "it is down", "").AsRetryable()
	forbidden := diag.New(diag.RepositoryForbidden, "it forbids", "")
	for name, tc := range map[string]struct {
		errs   []error // of a/1, a/2, b/1
		code   diag.Code
		exit   int
		says   string
		beside string // of a/2
	}{
		"none":            {[]error{nil, nil, nil}, diag.Internal, diag.ExitOK, "", "1"},
		"the first":       {[]error{forbidden, nil, nil}, diag.RepositoryForbidden, diag.ExitFailed, "it forbids", ""},
		"passes":          {[]error{nil, passes, passes}, diag.AlsoPushFailed, diag.ExitRetryable, "2 of 3 destinations", "1"},
		"one stays":       {[]error{nil, forbidden, passes}, diag.AlsoPushFailed, diag.ExitFailed, "a.example/2 (CONTAINER1016: it forbids); and b.example/1 (", "1"},
		"the first stays": {[]error{forbidden, nil, passes}, diag.AlsoPushFailed, diag.ExitFailed, "a.example/1 (CONTAINER1016", ""},
		"all":             {[]error{passes, passes, passes}, diag.AlsoPushFailed, diag.ExitRetryable, "none has it", ""},
	} {
		t.Run(name, func(t *testing.T) {
			all := Destinations(registry.NewName("a.example", "1"), []registry.Name{{Registry: "A.example", Repository: "2"}, {Registry: "b.example", Repository: "1"}})
			if diff := cmp.Diff([]registry.Mode{registry.ModePush, registry.ModePush, registry.ModePushElsewhere}, []registry.Mode{all[0].Mode, all[1].Mode, all[2].Mode}); diff != "" {
				t.Errorf("modes (-want +got):\n%s", diff)
			}
			all[1].Registry = "a.example"
			result, err := Everywhere(t.Context(), all, true, func(_ context.Context, d Destination) (outcome.Result, error) {
				if d.Name == all[1].Name && d.Beside != tc.beside {
					t.Errorf("beside %q, want %q", d.Beside, tc.beside)
				}
				for i := range all {
					if all[i].Name == d.Name {
						return outcome.New("push", d.Name, image.Descriptor{}), tc.errs[i]
					}
				}
				return outcome.Result{}, errors.New("nobody's")
			})
			if diag.ExitCode(err) != tc.exit || err != nil && (diag.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("%s, exit %d: %v; want %s, exit %d, %q", diag.CodeOf(err), diag.ExitCode(err), err, tc.code, tc.exit, tc.says)
			}
			for i, r := range result.Each() {
				if (r.Error != nil) != (tc.errs[i] != nil) || r.Reference != all[i].String() {
					t.Errorf("%d: %+v", i, r)
				}
			}
		})
	}
}

// TestEverywhere_interrupted: who stops the publish is told that, and not that destinations failed.
func TestEverywhere_interrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	all := Destinations(registry.NewName("a.example", "1"), []registry.Name{{Registry: "b.example", Repository: "1"}})
	_, err := Everywhere(ctx, all, true, func(ctx context.Context, d Destination) (outcome.Result, error) {
		cancel()
		return outcome.New("push", d.Name, image.Descriptor{}), ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
