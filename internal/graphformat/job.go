package graphformat

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"

	"github.com/gantry-build/gantry/internal/imagelist"
)

// Job is all that a machine needs to build one image and to stamp it. Paths are those of Options.Root.
type Job struct {
	// ID is made of letters, digits and _, begins with a letter and is the same in every plan.
	ID string `json:"id"`
	// Image is the image's name in the list.
	Image string `json:"image"`
	// Wave is 0 for an image that waits for none.
	Wave int `json:"wave"`
	// Context is the folder or URL of the build context.
	Context string `json:"context,omitempty"`
	// File is the Dockerfile; absent where the list itself has its content.
	File string `json:"file,omitempty"`
	// Inline is the content of the Dockerfile where the list itself has it.
	Inline string `json:"inline,omitempty"`
	// Target is a stage; the last one where it is absent.
	Target string `json:"target,omitempty"`
	// Args are the build arguments that have a value in the list.
	Args map[string]string `json:"args,omitempty"`
	// Platforms are os/architecture/variant; the builder's own where they are absent.
	Platforms []string `json:"platforms,omitempty"`
	// Tags are the references that the image is pushed to.
	Tags []string `json:"tags,omitempty"`
	// SharedTags are references of an index that several images of the list are in; gantry graph tag writes it once they are built.
	SharedTags []string `json:"sharedTags,omitempty"`
	// Contexts are the named contexts of the list: a folder, a URL, docker-image://REFERENCE or target:IMAGE.
	Contexts map[string]string `json:"contexts,omitempty"`
	// Options are what else a builder is told, by the key of the list, each as JSON.
	Options map[string]string `json:"options,omitempty"`
	// Pins are the parents that are there, by the reference that the Dockerfile has: repository@sha256:…
	Pins map[string]string `json:"pins,omitempty"`
	// Needs are the images that are built before; their digests are known once they are stamped.
	Needs []string `json:"needs,omitempty"`
	// Force says that the image is built although its tag is there: gantry graph run needs --force IMAGE for it.
	Force bool `json:"force,omitempty"`
	// Stamp is the shell command that says the image is built. It is absent where the image is unknown: no hash says what it is made
	// of, so that it has no tag and is built by every plan.
	Stamp string `json:"stamp,omitempty"`

	needIDs []string // the IDs of Needs
	brief   bool
}

// briefJob is a Job of Options.Brief: what a machine asks for the rest with.
type briefJob struct {
	Image string `json:"image"`
	Force bool   `json:"force,omitempty"`
}

// MarshalJSON leaves out of a brief job all but the image and whether it is forced.
func (j Job) MarshalJSON() ([]byte, error) {
	if j.brief {
		return compact(briefJob{j.Image, j.Force})
	}
	type whole Job // without this method
	return compact(whole(j))
}

// maxStem is the longest part of an image's name in an identifier: GitHub and Azure take at most 100 characters in all.
const maxStem = 60

// jobID makes a name of a job that GitHub, Azure and GitLab take. What is not kept of the image's name is made up for by its hash, so that the
// job of an image does not depend on the other images. Azure does not tell upper from lower case.
func jobID(name string) string {
	var b strings.Builder
	same := len(name) <= maxStem
	for _, r := range name {
		if b.Len() >= maxStem {
			break
		}
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case r >= 'A' && r <= 'Z':
			b.WriteRune(r - 'A' + 'a')
			same = false
		default:
			b.WriteByte('_')
			same = false
		}
	}
	id := "build_" + b.String()
	if !same {
		sum := sha256.Sum256([]byte(name))
		id += "_" + hex.EncodeToString(sum[:5])
	}
	return id
}

// job is an image of the plan as a job.
func (p *plan) job(i int) Job {
	n := &p.nodes[i]
	s := n.step.Image.Spec
	j := Job{ID: jobID(s.Name), Image: n.name, Wave: n.step.Wave, Force: n.forced(), brief: p.Brief}
	if len(n.step.Image.Unknown) == 0 {
		j.Stamp = p.stamp(s.Name)
	}
	for _, k := range n.parents {
		if p.nodes[k].built() {
			j.Needs = append(j.Needs, p.nodes[k].name)
			j.needIDs = append(j.needIDs, jobID(p.nodes[k].step.Image.Spec.Name))
		}
	}
	if p.Brief {
		return j
	}
	p.describe(&j, s)
	j.Pins = n.step.Pins
	return j
}

func (p *plan) describe(j *Job, s *imagelist.Spec) {
	j.Context = p.path(s.Context)
	j.File, j.Inline = p.path(s.Dockerfile), s.Inline
	j.Target = s.Target
	for name, value := range s.Args {
		if value == nil {
			continue
		}
		if j.Args == nil {
			j.Args = map[string]string{}
		}
		j.Args[name] = *value
	}
	j.Platforms, j.Tags, j.SharedTags, j.Options = s.Platforms, s.Tags, s.SharedTags, s.Options
	for name, value := range s.Contexts {
		if j.Contexts == nil {
			j.Contexts = map[string]string{}
		}
		j.Contexts[name] = p.path(value)
	}
}

// path is a path of the list from Root; what is none stays as it is.
func (p *plan) path(path string) string {
	if p.Root == "" || !filepath.IsAbs(path) {
		return path
	}
	rel, err := filepath.Rel(p.Root, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return filepath.ToSlash(rel)
}

func (p *plan) stamp(name string) string {
	command := p.Options.Stamp
	if len(command) == 0 {
		command = []string{"gantry", "graph", "stamp"}
	}
	words := make([]string, 0, len(command)+2)
	for _, word := range command {
		words = append(words, shellWord(word))
	}
	if strings.HasPrefix(name, "-") {
		words = append(words, "--")
	}
	return strings.Join(append(words, shellWord(name)), " ")
}

// shellWord quotes a word for a POSIX shell where it needs to be.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._/:@%+=,-", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// jobs are the jobs by waves, cut to MaxJobs, and how many are left for the next plan.
func (p *plan) jobs() (waves [][]Job, total, remaining int) {
	for _, wave := range p.waves {
		var jobs []Job
		for _, i := range wave {
			if p.MaxJobs > 0 && total == p.MaxJobs {
				return appendWave(waves, jobs), total, p.build - total
			}
			jobs = append(jobs, p.job(i))
			total++
		}
		waves = appendWave(waves, jobs)
	}
	return waves, total, 0
}

func appendWave(waves [][]Job, jobs []Job) [][]Job {
	if len(jobs) == 0 {
		return waves
	}
	return append(waves, jobs)
}

// shards cuts the jobs of a wave into pieces of nearly the same size, none above Shard.
func (p *plan) shards(jobs []Job) [][]Job {
	size := p.Shard
	if size == 0 {
		size = MaxMatrix
	}
	n := (len(jobs) + size - 1) / size
	shards := make([][]Job, n)
	for i := range shards {
		shards[i] = jobs[i*len(jobs)/n : (i+1)*len(jobs)/n]
	}
	return shards
}
