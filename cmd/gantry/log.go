package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"

	"github.com/gantry-build/gantry/internal/diag"
)

// textHandler writes log records for people: the message, then key=value. There is no time, as a build has its own, and no
// level. Groups are not used in this program.
type textHandler struct {
	w io.Writer
	// coded is for messages with a code, which the user should see; nil is w.
	coded io.Writer
	level slog.Level
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *textHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// WithGroup implements slog.Handler.
func (h *textHandler) WithGroup(string) slog.Handler { return h }

// WithAttrs implements slog.Handler.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &textHandler{w: h.w, coded: h.coded, level: h.level, attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// Handle implements slog.Handler. A record is one Write, so that lines of several goroutines do not mix.
func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	add := func(a slog.Attr) bool {
		value := a.Value.Resolve().String()
		if strings.ContainsAny(value, " \t\r\n\"") || value == "" {
			value = fmt.Sprintf("%q", value)
		}
		fmt.Fprintf(&b, " %s=%s", a.Key, value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	w := h.w
	if h.coded != nil && diag.IsMessageLine(r.Message) {
		w = h.coded
	}
	_, err := io.WriteString(w, harmless(b.String())+"\n")
	return err
}

// harmless keeps a line of the log from being read as an error: MSBuild takes any line "x : error y: z" for one.
func harmless(line string) string {
	line = strings.ReplaceAll(strings.ReplaceAll(line, "\r", " "), "\n", " ")
	lower := strings.ToLower(line)
	if !strings.Contains(lower, "error") && !strings.Contains(lower, "warning") {
		return line
	}
	return regexp.MustCompile(`(?i)\b(error|warning)(\s*\w*\s*):`).ReplaceAllString(line, "$1$2,")
}
