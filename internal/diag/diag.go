// Package diag holds Gantry's coded errors and how they are printed.
//
// An error that a person sees says what went wrong, why, and what to do, and
// carries a code: the .NET SDK's own CONTAINERnnnn where the SDK has one for
// the condition, else a GANTRYnnnn of ours. Codes are literals that are never
// reused; the table in codes.go is what the README is tested against.
//
// Errors travel as ordinary Go errors and are printed once, at the edge, as
// one line in MSBuild's canonical form. The package does no logging.
package diag

import (
	"errors"
	"fmt"
	"strings"
)

// Code names a condition, for example "CONTAINER1011" or "GANTRY1001".
type Code string

// Exit statuses of the gantry binary.
const (
	ExitOK          = 0   // done
	ExitFailed      = 1   // failed; the same call would fail again
	ExitBadRequest  = 2   // the request or the flags are wrong
	ExitRetryable   = 3   // a remote failure that may pass
	ExitNotFound    = 10  // check found nothing
	ExitInterrupted = 130 // stopped by SIGINT or SIGTERM
)

// Error is a failure with a code. What says what failed; Hint says what to
// do; Err, where set, is the reason and is printed between the two.
type Error struct {
	Code      Code
	What      string
	Hint      string
	Retryable bool // a remote failure that the same call may survive later
	Err       error
}

// New returns an error with a code. What and hint are sentences in lower case
// without a final period.
func New(code Code, what, hint string) *Error {
	return &Error{Code: code, What: what, Hint: hint}
}

// Cause is the reason of a coded error without what it says itself, for who knows better what was read; an error without one is itself.
func Cause(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}

// Wrap is New with the reason err.
func Wrap(code Code, err error, what, hint string) *Error {
	return &Error{Code: code, What: what, Hint: hint, Err: err}
}

// AsRetryable marks e as a remote failure that may pass.
func (e *Error) AsRetryable() *Error {
	e.Retryable = true
	return e
}

// Error joins what, why and what to do, without the code.
func (e *Error) Error() string {
	parts := []string{e.What}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	s := strings.Join(parts, ": ")
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost coded error in err's chain, and
// Internal when there is none: an error without a code is a bug of ours.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// ExitCode returns the exit status that err stands for.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	code := CodeOf(err)
	switch {
	case code == Interrupted:
		return ExitInterrupted
	case strings.HasPrefix(string(code), "GANTRY1"):
		return ExitBadRequest
	case isRetryable(err):
		return ExitRetryable
	}
	return ExitFailed
}

func isRetryable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Retryable
}

// Line renders err as MSBuild's canonical error line, without line end:
//
//	gantry : error CODE: what: why; what to do
//
// Line breaks and control characters inside the text become spaces, so that
// one failure is always exactly one line.
func Line(err error) string {
	return fmt.Sprintf("gantry : error %s: %s", CodeOf(err), oneLine(err.Error()))
}

// WarningLine renders a coded warning in the same form.
func WarningLine(code Code, text string) string {
	return fmt.Sprintf("gantry : warning %s: %s", code, oneLine(text))
}

// MessageLine renders what the user may want to know and what is neither an
// error nor a warning: the build is right as it is.
func MessageLine(code Code, text string) string {
	return fmt.Sprintf("%s: %s", code, oneLine(text))
}

// IsMessageLine says whether a text begins as MessageLine does.
func IsMessageLine(text string) bool {
	code, _, found := strings.Cut(text, ": ")
	name := strings.TrimRight(code, "0123456789")
	return found && name != "" && len(name)+4 == len(code) && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
