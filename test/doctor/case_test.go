package doctor

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// findingCase is a cause that is made on a healthy gateway, the finding that doctor must report, and its remedy. In lines for sh
// iptables and ip6tables are the commands of our backend, other and other6 those of the one that ours are not in.
type findingCase struct {
	id, severity string
	cause        string   // for sh
	evidence     []string // what was seen, the foreign thing by name
	words        []string // of the finding's text
	remedy       string   // what is to be done, word by word
	cure         string   // that remedy, typed; empty: the remedy is a line itself
	// Keys of the configuration that the remedy gives with a value, to be used in place of the cure.
	setting    string
	also       []string // findings of other kinds that are true as well
	anyBackend bool     // the backend is left open, as no firewall is concerned or as it matters that it is
}

// commands returns the words for commands their meaning.
func commands(b *box.Box, script string) string {
	own, other := "nft", "legacy"
	if strings.HasSuffix(b.IptablesName(4), other) {
		own, other = other, own
	}
	var text strings.Builder
	for _, c := range [][]string{{"iptables", "iptables-" + own}, {"ip6tables", "ip6tables-" + own}, {"other", "iptables-" + other}, {"other6", "ip6tables-" + other}} {
		fmt.Fprintf(&text, "%s() { %s \"$@\"; }\n", c[0], c[1])
	}
	return text.String() + script
}

func sh(b *box.Box, script string) {
	b.T.Helper()
	b.Gateway.Run("sh", "-ec", commands(b, script))
}

// without returns the findings that the other diagnosis does not have.
func without(d box.DoctorReport, other box.DoctorReport) (rest []box.DoctorFinding) {
	known := map[string]int{}
	for _, f := range other.Findings {
		known[text(f)]++
	}
	for _, f := range d.Findings {
		if known[text(f)]--; known[text(f)] < 0 {
			rest = append(rest, f)
		}
	}
	return rest
}

func text(f box.DoctorFinding) string {
	text, err := json.Marshal(f)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// wantNewFindings wants exactly these kinds of findings beside those of before, and all of those still.
func wantNewFindings(b *box.Box, before, now box.DoctorReport, ids ...string) (more []box.DoctorFinding) {
	b.T.Helper()
	more = without(now, before)
	var got []string
	for _, f := range more {
		got = append(got, f.ID)
	}
	slices.Sort(got)
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		b.T.Errorf("new are %q, want %q:\n%s", got, ids, box.DoctorReport{Findings: more})
	}
	if gone := without(before, now); len(gone) > 0 {
		b.T.Errorf("no longer said: %s", box.DoctorReport{Findings: gone})
	}
	return more
}

// run makes the condition, wants it named with its remedy, and carries the remedy out. What is called an error is shown
// by packets to be one.
func (s findingCase) run(t *testing.T, b *box.Box) {
	serveGatewayAndLAN(b)
	b.Apply()
	p := b.RecordEgress()
	before := b.RunDoctor()
	if wrong := brokenReplies(b, p, false); !before.Healthy() || len(before.Of(s.id)) > 0 || len(wrong) > 0 {
		t.Fatalf("before: %s %s", wrong, before)
	}
	sh(b, s.cause)
	now := b.RunDoctor()
	if s.severity == box.IsError && len(brokenReplies(b, p, true)) == 0 {
		t.Error("an error takes replies off their path, and none strays")
	}
	if s.severity == box.IsNote {
		if wrong := brokenReplies(b, p, false); len(wrong) > 0 {
			t.Errorf("a note breaks nothing: %s", wrong)
		}
	}
	for _, f := range wantNewFindings(b, before, now, append(slices.Clone(s.also), s.id)...) {
		if f.ID == s.id {
			s.check(t, f)
			s.applyRemedy(b, f)
		}
	}
	if wrong := brokenReplies(b, p, false); len(wrong) > 0 {
		t.Errorf("after the remedy: %s", wrong)
	}
}

// check compares a finding with the case.
func (s findingCase) check(t *testing.T, f box.DoctorFinding) {
	t.Helper()
	if f.Severity != s.severity {
		t.Errorf("it is an %s, want %s: %+v", f.Severity, s.severity, f)
	}
	evidence := strings.Join(f.Evidence, "\n")
	for _, words := range s.evidence {
		if !strings.Contains(evidence, words) {
			t.Errorf("the evidence does not name %q: %+v", words, f)
		}
	}
	for _, words := range s.words {
		if !strings.Contains(f.What, words) {
			t.Errorf("it does not say %q: %+v", words, f)
		}
	}
	if !strings.Contains(f.Remedy, s.remedy) || s.remedy == "" {
		t.Errorf("the remedy does not say %q: %+v", s.remedy, f)
	}
}

// applyRemedy applies the remedy and wants the finding gone.
func (s findingCase) applyRemedy(b *box.Box, f box.DoctorFinding) {
	b.T.Helper()
	switch {
	case s.setting != "":
		line := regexp.MustCompile(s.setting + ` = ("[a-z]+"|[0-9a-fx]+)`).FindString(f.Remedy)
		if line == "" {
			b.T.Fatalf("no line for the configuration: %s", f.Remedy)
		}
		b.Settings = append(slices.Clone(b.Settings), line)
		b.Configure(b.Uplinks...)
		b.Apply()
	case s.cure != "":
		sh(b, s.cure)
	default:
		sh(b, f.Remedy)
	}
	if still := b.RunDoctor().Of(s.id); len(still) > 0 {
		b.T.Errorf("the remedy was carried out, and still: %s", box.DoctorReport{Findings: still})
	}
}

// runFindingCases shows each of the symptoms in a world of its own, with ours in each backend where firewalls are concerned.
func runFindingCases(t *testing.T, cases map[string]findingCase) {
	for name, s := range cases {
		each := box.Backends
		if s.anyBackend {
			each = []string{""}
		}
		for _, backend := range each {
			t.Run(name+", "+backend, func(t *testing.T) {
				t.Parallel()
				b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}))
				if backend != "" {
					b.Settings = []string{backend}
					b.Configure(b.Uplinks...)
				}
				s.run(t, b)
			})
		}
	}
}
