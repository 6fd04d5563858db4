package box

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DoctorReport is what doctor --json prints.
type DoctorReport struct {
	Version  int
	Findings []DoctorFinding
	Unseen   []struct{ What, Why string }
}

// DoctorFinding is a finding as doctor --json prints it.
type DoctorFinding struct {
	ID, Severity, What, Remedy string
	Evidence, Commands         []string
	Fixable                    bool
}

// The severities of findings.
const (
	IsError   = "error"
	IsWarning = "warning"
	IsNote    = "note"
)

// Healthy reports whether nothing is above a note.
func (d DoctorReport) Healthy() bool {
	return !slices.ContainsFunc(d.Findings, func(f DoctorFinding) bool { return f.Severity != IsNote })
}

func (d DoctorReport) String() string {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Of returns the findings of that kind.
func (d DoctorReport) Of(id string) (some []DoctorFinding) {
	for _, f := range d.Findings {
		if f.ID == id {
			some = append(some, f)
		}
	}
	return some
}

// Root returns a folder for files that the doctor looks at in place of the machine's.
func (b *Box) Root() string { return filepath.Join(b.Dir, "root") }

// WriteRootFile writes a file below the root.
func (b *Box) WriteRootFile(path, text string) {
	b.T.Helper()
	path = filepath.Join(b.Root(), path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.T.Fatal(err)
	}
}

// RunDoctor runs doctor --json, and wants an exit status that agrees with its findings.
func (b *Box) RunDoctor(run ...func(args ...string) Result) (d DoctorReport) {
	b.T.Helper()
	doctor := b.Run
	if len(run) > 0 {
		doctor = run[0]
	}
	r := doctor("doctor", "--json", "--root", b.Root())
	if err := json.Unmarshal([]byte(r.Stdout), &d); err != nil || d.Version != 1 {
		b.T.Fatalf("doctor --json: %v: %s", err, r)
	}
	want := 0
	if !d.Healthy() {
		want = 3
	}
	if r.Status != want {
		b.T.Errorf("exit %d, want %d: %s", r.Status, want, d)
	}
	return d
}

// WantFinding wants a finding of a kind and severity whose text holds all the words.
func (b *Box) WantFinding(d DoctorReport, severity string, id string, words ...string) {
	b.T.Helper()
	for _, f := range d.Of(id) {
		text := strings.Join(append([]string{f.What, f.Remedy}, f.Evidence...), "\n")
		if f.Severity == severity && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			return
		}
	}
	b.T.Errorf("no %s %q with %q:\n%s", severity, id, words, d)
}
