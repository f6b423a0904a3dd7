// Package computeconfig is the stage compute-config: the configuration of the image, but for the layers of the app.
//
// What a project says is merged over the base's configuration by the SDK's rules (package image has them). Three differences are on
// purpose: the user's own value of a label wins over the generated one, the user's labels are written with ContainerGenerateLabels=false
// too, and times come from SOURCE_DATE_EPOCH or the base, never from a clock.
package computeconfig

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/image"
	"github.com/gantry-build/gantry/internal/pull"
	"github.com/gantry-build/gantry/tasks"
)

// Request holds what a project says about its image.
type Request struct {
	tasks.RequestHeader
	// SelectBasePath is the response of select-base.
	SelectBasePath string `json:"selectBasePath"`
	// OutputRegistry is as in resolve-base. It only matters when the content store no longer has the base's configuration.
	OutputRegistry string `json:"outputRegistry,omitempty"`
	// BaseName is what the annotation org.opencontainers.image.base.name says instead of the base's full reference.
	BaseName string `json:"baseName,omitempty"`
	// Labels are the generated labels, in order; of two with one name the later counts. The user's own may be among them.
	Labels []tasks.NameValue `json:"labels"`
	// UserLabels are the labels that the user wrote, in order. They win over Labels and over what the stage generates, and are
	// written with GenerateLabels false too.
	UserLabels []tasks.NameValue `json:"userLabels"`
	// GenerateLabels, GenerateDigestLabel and GenerateCreatedLabels are ContainerGenerateLabels, ...ImageBaseDigest and
	// ...ImageCreated.
	GenerateLabels        bool `json:"generateLabels"`
	GenerateDigestLabel   bool `json:"generateDigestLabel"`
	GenerateCreatedLabels bool `json:"generateCreatedLabels"`
	// Environment are the variables in order; a name that the SDK does not accept is dropped with CONTAINER2015.
	Environment []tasks.NameValue `json:"environment"`
	Ports       []tasks.Port      `json:"ports"`
	// User is ContainerUser; empty means APP_UID of the environment, else the base's user.
	User string `json:"user"`
	// WorkingDirectory is written as it is; empty keeps the base's.
	WorkingDirectory string   `json:"workingDirectory"`
	Entrypoint       []string `json:"entrypoint"`
	EntrypointArgs   []string `json:"entrypointArgs"`
	AppCommand       []string `json:"appCommand"`
	AppCommandArgs   []string `json:"appCommandArgs"`
	// AppCommandInstruction is Entrypoint, DefaultArgs, None or empty.
	AppCommandInstruction string   `json:"appCommandInstruction"`
	DefaultArgs           []string `json:"defaultArgs"`
	// SourceDateEpoch is SOURCE_DATE_EPOCH: seconds since 1970 in digits; empty means none.
	SourceDateEpoch string `json:"sourceDateEpoch"`
	// RecallRequestPath is a request of recall, for what an earlier image has; empty means that none is asked for.
	RecallRequestPath string `json:"recallRequestPath,omitempty"`
	// PullPolicy is as in resolve-base. With never, a configuration of the base that the store lacks is GANTRY2006.
	PullPolicy string `json:"pullPolicy,omitempty"`
}

// Validate returns all problems of the request: GANTRY1005, GANTRY1010 for control characters, GANTRY3001 for the epoch.
func (r *Request) Validate() error {
	var errs []error
	if r.SelectBasePath == "" {
		errs = append(errs, diag.New(diag.InvalidValue, "selectBasePath is missing", "name the response of select-base"))
	}
	if _, _, err := image.ParseEpoch(r.SourceDateEpoch); err != nil {
		errs = append(errs, err)
	}
	if _, err := pull.ParsePolicy(r.PullPolicy); err != nil {
		errs = append(errs, err)
	}
	for _, l := range slices.Concat(r.Labels, r.UserLabels) {
		if l.Name == "" {
			errs = append(errs, diag.New(diag.InvalidSetting, "a label has no name", `write <ContainerLabel Include="name" Value="value" />`))
		}
	}
	r.eachText(func(field, s string) {
		if err := checkText(field, s); err != nil {
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}

// eachText calls f with every string that goes into the image.
func (r *Request) eachText(f func(field, s string)) {
	for i, l := range slices.Concat(r.Labels, r.UserLabels) {
		f(fmt.Sprintf("labels[%d].name", i), l.Name)
		f("label "+l.Name, l.Value)
	}
	for i, e := range r.Environment {
		f(fmt.Sprintf("environment[%d].name", i), e.Name)
		f("environment variable "+e.Name, e.Value)
	}
	f("user", r.User)
	f("workingDirectory", r.WorkingDirectory)
	f("baseName", r.BaseName)
	for _, l := range []struct {
		field string
		list  []string
	}{
		{"entrypoint", r.Entrypoint},
		{"entrypointArgs", r.EntrypointArgs},
		{"appCommand", r.AppCommand},
		{"appCommandArgs", r.AppCommandArgs},
		{"defaultArgs", r.DefaultArgs},
	} {
		for i, s := range l.list {
			f(fmt.Sprintf("%s[%d]", l.field, i), s)
		}
	}
}

// checkText refuses control characters: no runtime passes U+0000 on, and the others are never meant. Tabs and line ends are text.
func checkText(field, s string) error {
	if !utf8.ValidString(s) {
		return diag.New(diag.ControlCharacter, field+" is not UTF-8", "write it in UTF-8")
	}
	for i, c := range s {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
			return diag.New(diag.ControlCharacter, fmt.Sprintf("%s has the control character U+%04X at byte %d", field, c, i), "remove it")
		}
	}
	return nil
}
