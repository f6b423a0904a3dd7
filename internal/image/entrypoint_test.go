package image

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gantry-build/gantry/internal/diag"
)

// readCases reads a file of measured cases.
func readCases[T any](t *testing.T, file string) []T {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Cases []T `json:"cases"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Cases) == 0 {
		t.Fatal("no cases in " + file)
	}
	return doc.Cases
}

// TestExecution_Decide_asSDK holds the table to what the SDK really does: every combination of the five items under each instruction.
func TestExecution_Decide_asSDK(t *testing.T) {
	type row struct {
		Base           []string    `json:"base"`
		Instruction    string      `json:"instruction"`
		Entrypoint     []string    `json:"entrypoint"`
		EntrypointArgs []string    `json:"entrypointArgs"`
		AppCommand     []string    `json:"appCommand"`
		AppCommandArgs []string    `json:"appCommandArgs"`
		DefaultArgs    []string    `json:"defaultArgs"`
		WantEntrypoint []string    `json:"wantEntrypoint"`
		WantCmd        []string    `json:"wantCmd"`
		Codes          []diag.Code `json:"codes"`
	}
	for _, r := range readCases[row](t, "testdata/sdk-entrypoint.json") {
		e := Execution{r.Entrypoint, r.EntrypointArgs, r.AppCommand, r.AppCommandArgs, r.DefaultArgs, r.Instruction}
		got, err := e.Decide(r.Base)
		var codes []diag.Code
		if got.BaseReplaced {
			codes = append(codes, diag.BaseEntrypointReplaced)
		}
		if err != nil {
			codes = append(codes, diag.CodeOf(err))
		}
		if d := cmp.Diff(r.Codes, codes, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%+v on %v: codes (-SDK +got):\n%s", e, r.Base, d)
		}
		if err != nil {
			continue
		}
		want := Start{Entrypoint: r.WantEntrypoint, Cmd: r.WantCmd, BaseReplaced: got.BaseReplaced}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%+v on %v (-SDK +got):\n%s", e, r.Base, d)
		}
	}
}

// TestExecution_Decide_otherDotnet: the other spelling of Microsoft's own entrypoint counts as none, a longer one does not.
func TestExecution_Decide_otherDotnet(t *testing.T) {
	e := Execution{AppCommand: []string{"app"}, Instruction: instructionDefaultArgs}
	for _, tc := range []struct {
		base, want []string
	}{
		{[]string{"/usr/bin/dotnet"}, nil},
		{[]string{"dotnet", "x"}, []string{"dotnet", "x"}},
	} {
		got, err := e.Decide(tc.base)
		if err != nil || !cmp.Equal(got.Entrypoint, tc.want, cmpopts.EquateEmpty()) {
			t.Errorf("on %v: got %v, %v; want %v", tc.base, got.Entrypoint, err, tc.want)
		}
	}
}

func wantCode(t *testing.T, err error, code diag.Code) {
	t.Helper()
	var e *diag.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got error %v (%s), want code %s", err, diag.CodeOf(err), code)
	}
}
