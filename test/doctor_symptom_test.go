package test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"replypath/test/world"
)

// findingCase is a condition that is made on a healthy gateway, what the doctor says of it, and what heals it. In lines for sh
// iptables and ip6tables are the commands of our backend, other and other6 those of the one that ours are not in.
type findingCase struct {
	id, severity string
	cause        string   // for sh
	evidence     []string // what was seen, the foreign thing by name
	words        []string // of what is said
	remedy       string   // what is to be done, word by word
	cure         string   // that remedy, typed; empty: the remedy is a line itself
	// Keys of the configuration that the remedy gives with a value, to be used in place of the cure.
	setting    string
	also       []string // findings of other kinds that are true as well
	anyBackend bool     // the backend is left open, as no firewall is concerned or as it matters that it is
}

// commands gives the words for commands their meaning.
func (b *box) commands(script string) string {
	own, other := "nft", "legacy"
	if strings.HasSuffix(b.iptablesName(4), other) {
		own, other = other, own
	}
	var text strings.Builder
	for _, c := range [][]string{{"iptables", "iptables-" + own}, {"ip6tables", "ip6tables-" + own}, {"other", "iptables-" + other}, {"other6", "ip6tables-" + other}} {
		fmt.Fprintf(&text, "%s() { %s \"$@\"; }\n", c[0], c[1])
	}
	return text.String() + script
}

func (b *box) sh(script string) {
	b.t.Helper()
	b.Gateway.Run("sh", "-ec", b.commands(script))
}

// without are the findings that the other diagnosis does not have.
func (d doctorReport) without(other doctorReport) (rest []doctorFinding) {
	seen := map[string]int{}
	for _, f := range other.Findings {
		seen[f.text()]++
	}
	for _, f := range d.Findings {
		if seen[f.text()]--; seen[f.text()] < 0 {
			rest = append(rest, f)
		}
	}
	return rest
}

func (f doctorFinding) text() string {
	text, err := json.Marshal(f)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// wantNewFindings wants exactly these kinds of findings beside those of before, and all of those still.
func (b *box) wantNewFindings(before, now doctorReport, ids ...string) (more []doctorFinding) {
	b.t.Helper()
	more = now.without(before)
	var got []string
	for _, f := range more {
		got = append(got, f.ID)
	}
	slices.Sort(got)
	slices.Sort(ids)
	if !slices.Equal(got, ids) {
		b.t.Errorf("new are %q, want %q:\n%s", got, ids, doctorReport{Findings: more})
	}
	if gone := before.without(now); len(gone) > 0 {
		b.t.Errorf("no longer said: %s", doctorReport{Findings: gone})
	}
	return more
}

// run makes the condition, wants it named with its remedy, and carries the remedy out. What is called an error is shown
// by packets to be one.
func (s findingCase) run(t *testing.T, b *box) {
	b.serveGatewayAndLAN()
	b.apply()
	p := b.recordEgress()
	before := b.runDoctor()
	if wrong := b.brokenReplies(p, false); !before.healthy() || len(before.of(s.id)) > 0 || len(wrong) > 0 {
		t.Fatalf("before: %s %s", wrong, before)
	}
	b.sh(s.cause)
	now := b.runDoctor()
	if s.severity == isError && len(b.brokenReplies(p, true)) == 0 {
		t.Error("an error takes replies off their path, and none strays")
	}
	for _, f := range b.wantNewFindings(before, now, append(slices.Clone(s.also), s.id)...) {
		if f.ID == s.id {
			s.check(t, f)
			s.applyRemedy(b, f)
		}
	}
	if wrong := b.brokenReplies(p, false); len(wrong) > 0 {
		t.Errorf("after the remedy: %s", wrong)
	}
}

// check wants all that a finding must say.
func (s findingCase) check(t *testing.T, f doctorFinding) {
	t.Helper()
	if f.Severity != s.severity {
		t.Errorf("it is an %s, want %s: %+v", f.Severity, s.severity, f)
	}
	seen := strings.Join(f.Evidence, "\n")
	for _, words := range s.evidence {
		if !strings.Contains(seen, words) {
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

// applyRemedy carries out the remedy and wants nothing to be said any more.
func (s findingCase) applyRemedy(b *box, f doctorFinding) {
	b.t.Helper()
	switch {
	case s.setting != "":
		line := regexp.MustCompile(s.setting + ` = ("[a-z]+"|[0-9a-fx]+)`).FindString(f.Remedy)
		if line == "" {
			b.t.Fatalf("no line for the configuration: %s", f.Remedy)
		}
		b.settings = append(slices.Clone(b.settings), line)
		b.configure(b.Uplinks...)
		b.apply()
	case s.cure != "":
		b.sh(s.cure)
	default:
		b.sh(f.Remedy)
	}
	if still := b.runDoctor().of(s.id); len(still) > 0 {
		b.t.Errorf("the remedy was carried out, and still: %s", doctorReport{Findings: still})
	}
}

// runFindingCases shows each of the symptoms in a world of its own, with ours in each backend where firewalls are concerned.
func runFindingCases(t *testing.T, cases map[string]findingCase) {
	for name, s := range cases {
		each := backends
		if s.anyBackend {
			each = []string{""}
		}
		for _, backend := range each {
			t.Run(name+", "+backend, func(t *testing.T) {
				t.Parallel()
				b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}))
				if backend != "" {
					b.settings = []string{backend}
					b.configure(b.Uplinks...)
				}
				s.run(t, b)
			})
		}
	}
}
