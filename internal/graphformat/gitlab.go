package graphformat

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// writeGitLab writes a child pipeline: a job an image, in a stage a wave. A job starts when its own parents are done; one with more parents
// than GitLab lets a job need starts when the waves before it are. What it does stands in the job .gantry-build of the template.
func writeGitLab(w io.Writer, p *plan) error {
	template := p.Template
	if template == "" {
		template = "/.gitlab/gantry-build.yml"
	}
	waves, total, remaining := p.jobs()
	names := map[string]string{} // by image
	var b bytes.Buffer
	heading(&b, "gitlab", total, remaining)
	// without rules, the jobs of a child pipeline of a merge request are left out
	fmt.Fprintf(&b, "workflow:\n  rules:\n    - when: always\ninclude:\n  - local: %s\nstages:\n", yamlString(template))
	for i := range max(1, len(waves)) {
		fmt.Fprintf(&b, "  - wave-%d\n", i)
	}
	if total == 0 { // a pipeline without a job is an error
		b.WriteString("nothing to build:\n  stage: wave-0\n  variables:\n    GIT_STRATEGY: none\n  script:\n    - echo \"nothing to build\"\n")
	}
	for i, jobs := range waves {
		for _, j := range jobs {
			names[j.Image] = gitlabJob(&j)
			if err := p.writeGitLabJob(&b, i, &j, names); err != nil {
				return err
			}
		}
	}
	if b.Len() > gitlabFile {
		return p.tooLarge("a GitLab pipeline", total, b.Len(), gitlabFile)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (p *plan) writeGitLabJob(b *bytes.Buffer, wave int, j *Job, names map[string]string) error {
	list, err := j.variables()
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "%s:\n  extends: .gantry-build\n  stage: wave-%d\n", yamlString(names[j.Image]), wave)
	if len(j.Needs) <= gitlabNeeds {
		needs := make([]string, len(j.Needs))
		for i, image := range j.Needs {
			needs[i] = names[image]
		}
		fmt.Fprintf(b, "  needs: %s\n", yamlList(needs))
	}
	b.WriteString("  variables:\n")
	for _, v := range list {
		// a dollar is no variable
		fmt.Fprintf(b, "    %s: {value: %s, expand: false}\n", v.name, yamlString(v.value))
	}
	return nil
}

// gitlabJob names a job. The word before the image keeps it from being hidden (.name), a keyword (image), or too long.
func gitlabJob(j *Job) string {
	if name := "build " + j.Image; utf8.RuneCountInString(name) <= gitlabName {
		return name
	}
	return j.ID
}
