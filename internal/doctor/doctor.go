// Package doctor probes what a registry can do in one repository, and says what each answer means for a publish.
//
// It writes there: a few blobs of its own, two small images and an artifact under tags that begin with "gantry-doctor-". All have content
// that nobody else has, so nothing of anybody's is touched, and what was written is deleted at the end, where the registry allows it.
// Each probe is one request, or the few that belong together, and never tried again: a doctor reports what is.
package doctor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gantry-build/gantry/internal/cas"
	"github.com/gantry-build/gantry/internal/diag"
	"github.com/gantry-build/gantry/internal/registry"
)

// Repository is what is probed; *registry.Repository for registry.ModePush has it.
type Repository interface {
	Ask(ctx context.Context, a registry.Ask) (*registry.Answer, error)
	Login(ctx context.Context) (registry.Login, error)
}

// Status is how a probe ended.
type Status string

// Statuses of findings.
const (
	OK      Status = "ok"      // as the specification has it
	No      Status = "no"      // the registry does not do it; a publish works without
	Failed  Status = "failed"  // a publish would fail, or be wrong
	Skipped Status = "skipped" // could not be tried
)

// Finding is what one probe saw, and what it means for a publish.
type Finding struct {
	Probe  string `json:"probe"`
	Status Status `json:"status"`
	Saw    string `json:"saw"`
	Means  string `json:"means,omitempty"`
}

// Report is what all probes found.
type Report struct {
	Repository string    `json:"repository"`
	Findings   []Finding `json:"findings"`
	// Left is what was written and could not be deleted.
	Left []string `json:"left"`
}

// Err is GANTRY5012 when a publish would fail.
func (r *Report) Err() error {
	var names []string
	for _, f := range r.Findings {
		if f.Status == Failed {
			names = append(names, f.Probe)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return diag.New(diag.RegistryUnfit, fmt.Sprintf("a publish to %s would fail: %s", r.Repository, strings.Join(names, ", ")),
		"read what is said of that above")
}

// visit is one run.
type visit struct {
	ctx    context.Context
	repo   Repository
	name   registry.Name
	report *Report
	proxy  func(*http.Request) (*url.URL, error)

	id       string // of everything that this run writes
	layer    []byte
	config   []byte
	image    []byte // the manifest
	other    []byte // another manifest
	artifact []byte

	tags      []string
	manifests []cas.Digest
	blobs     []cas.Digest
}

// Run probes a repository. The error is that of the context; everything else is in the report.
func Run(ctx context.Context, repo Repository, name registry.Name) (*Report, error) {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, diag.Wrap(diag.Internal, err, "no random number", "please report it")
	}
	v := &visit{
		ctx: ctx, repo: repo, name: name, id: hex.EncodeToString(id[:]), proxy: http.ProxyFromEnvironment,
		report: &Report{Repository: name.String(), Left: []string{}},
	}
	if err := v.makeContent(); err != nil {
		return nil, err
	}
	if v.connect() {
		v.absent()
		if v.uploads() {
			v.images()
		}
		v.remove()
	}
	if ctx.Err() != nil {
		return v.report, diag.Wrap(diag.Interrupted, ctx.Err(), "gantry registry doctor", "tags that begin with gantry-doctor- in "+name.String()+" may be left")
	}
	return v.report, nil
}

func (v *visit) tag(suffix string) string { return "gantry-doctor-" + v.id + suffix }

func (v *visit) add(probe string, s Status, saw, means string) {
	v.report.Findings = append(v.report.Findings, Finding{Probe: probe, Status: s, Saw: saw, Means: means})
}

// ask sends one request. saw describes it and its answer; a is nil when there was none.
func (v *visit) ask(a registry.Ask) (answer *registry.Answer, saw string) {
	what := a.Method
	if path, _, _ := strings.Cut(a.Path, "?"); path != "" {
		what += " " + path
	}
	answer, err := v.repo.Ask(v.ctx, a)
	if err != nil {
		return nil, what + ": " + err.Error()
	}
	saw = fmt.Sprintf("%s: %d", what, answer.Status)
	if answer.Detail != "" {
		saw += " (" + answer.Detail + ")"
	}
	return answer, saw
}

// is says whether there was an answer with one of the statuses.
func is(a *registry.Answer, statuses ...int) bool {
	for _, s := range statuses {
		if a != nil && a.Status == s {
			return true
		}
	}
	return false
}
