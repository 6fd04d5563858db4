package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"replypath/cmd/terminal"
	"replypath/health"
	"replypath/uplinks"

	"github.com/google/go-cmp/cmp"
)

var testTime = time.Date(2026, 3, 4, 12, 0, 0, 0, time.Local)

// familyStatus returns a status with one probe of the given mean round-trip time in seconds and loss in percent.
func familyStatus(f uplinks.Family, s health.State, since time.Duration, mean, loss float64) health.FamilyStatus {
	return health.FamilyStatus{Family: f, State: s, Since: testTime.Add(-since), Probes: []health.ProbeStatus{{Sent: 9, MeanRTTSeconds: mean, LossPercent: loss}}}
}

// troubledStatus returns a status with every kind of trouble.
func troubledStatus() health.Status {
	shown, no, unknown := health.ProofCheck{Result: health.Yes}, health.ProofCheck{Result: health.No}, health.ProofCheck{Result: health.Unknown}
	no.Detail, no.Remedy = `rule 1500 "from all lookup 51820" comes before ours`, "give it a priority above 4000"
	fine := familyStatus(uplinks.IPv4, health.Up, 26*time.Hour, .0123, 0)
	fine.Proof = health.Proof{Routes: shown, Trace: shown}
	astray := familyStatus(uplinks.IPv6, health.Unproven, 3*time.Hour+5*time.Minute, .0081, .4)
	astray.Proof, astray.Reason = health.Proof{Routes: no, Trace: unknown}, "replies do not leave by it"
	slow := familyStatus(uplinks.IPv4, health.Up, 59*time.Minute, 1.25, 25)
	slow.Degraded, slow.Proof = "icmp://192.0.2.53: 25 % of the last probes lost; icmp://192.0.2.53: mean round-trip time 1.25s", health.Proof{Routes: shown, Trace: unknown}
	dead := familyStatus(uplinks.IPv6, health.Down, 59*time.Second, 0, 100)
	dead.Reason = "no answer from icmp://[2001:db8::35] in 1s"
	return health.Status{
		Problems:   []string{"the kernel is not in sync: it is being repaired"},
		SyncStatus: health.SyncStatus{Since: testTime.Add(-time.Minute), Error: "add rule 2001:\noperation not permitted", RepairsWaiting: 1, Changes: 12, Rounds: 1},
		Reload:     &health.ReloadStatus{At: testTime, Error: "replypath.toml:3:1: unknown key \"x\""},
		Uplinks: []health.UplinkStatus{
			{Name: "fibre", Interface: "eth0", State: health.Unproven, Families: []health.FamilyStatus{fine, astray}},
			{Name: "lte", Interface: "wwan0", State: health.Down, Families: []health.FamilyStatus{slow, dead}},
			{Name: "dsl", Interface: "ppp0", State: health.Absent},
		},
		Events: []health.Event{{At: testTime, Text: "gone"}, {At: testTime, Text: "1"}, {At: testTime, Text: "2"}, {At: testTime, Text: "3"}, {At: testTime, Text: "4"},
			{At: testTime.Add(time.Second), Text: "lte IPv6 is down: \x1b[31mno answer from icmp://[2001:db8::35] in 1s, and this goes on"}},
	}
}

func TestStatusText(t *testing.T) {
	want := `
kernel    not in sync since 2026-03-04 11:59:00: 12 changes in 1 round
error     add rule 2001: operation not permitted
waiting   1 repair delayed, as another program keeps undoing them: see the log
problem   the kernel is not in sync: it is being repaired
reload    rejected at 2026-03-04 12:00:00: replypath.toml:3:1: unknown key "x"

UPLINK  INTERFACE  FAMILY  STATE     RTT    LOSS  PROOF  SINCE
fibre   eth0       IPv4    up        12ms   0%    shown  1d
                   IPv6    unproven  8.1ms  <1%   no     3h05m
  replies do not leave by it
  rule 1500 "from all lookup 51820" comes before ours
  remedy: give it a priority above 4000
lte     wwan0      IPv4    up        1.2s   25%   asked  59m
  degraded: icmp://192.0.2.53: 25 % of the last probes lost; icmp://192.0.2.53:
  mean round-trip time 1.25s
                   IPv6    down      -      100%  -      59s
  no answer from icmp://[2001:db8::35] in 1s
dsl     ppp0       -       absent    -      -     -      -

12:00:00  1
12:00:00  2
12:00:00  3
12:00:00  4
12:00:01  lte IPv6 is down: [31mno answer from icmp://[2001:db8::35] in 1s, and
          this goes on
`
	got := "\n" + statusText(troubledStatus(), testTime, terminal.Palette{})
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Error(diff)
	}
}

// What is the same for several paths is printed once, below the table.
func TestStatusPrintsEqualNotesOnce(t *testing.T) {
	s := troubledStatus()
	for i := range s.Uplinks[:2] {
		for j := range s.Uplinks[i].Families {
			s.Uplinks[i].Families[j].Reason, s.Uplinks[i].Families[j].Degraded, s.Uplinks[i].Families[j].Proof = "", "", health.Proof{}
		}
		s.Uplinks[i].Families[0].Reason = "nothing is applied"
	}
	s.Uplinks[1].Families[1].Reason = "no answer"
	got := statusText(s, testTime, terminal.Palette{})
	if !strings.Contains(got, "\n  no answer\ndsl ") || !strings.Contains(got, "\n  fibre IPv4, lte IPv4:\n  nothing is applied\n\n") || strings.Count(got, "nothing is applied") != 1 {
		t.Error(got)
	}
}

// An inconclusive proof is no evidence, and is said with its cause; where nothing can be shown the routing decision is.
func TestStatusSaysWhatIsUnknown(t *testing.T) {
	fine, notShown := health.ProofCheck{Result: health.Yes}, health.ProofCheck{Result: health.Unknown, Cause: health.TraceUnavailable, Detail: "no CAP_BPF"}
	dropped := health.ProofCheck{Result: health.Unknown, Cause: health.FirewallDropped, Detail: "the firewall drops it in OUTPUT", Remedy: "see its rules"}
	someClients := health.ProofCheck{Result: health.Unknown, Scope: health.ClientScope, Cause: health.RuleShadowed, Detail: "replies to clients in 203.0.113.0/24 are lost"}
	for label, p := range map[string]health.Proof{
		"unknown see its rules": {Routes: fine, Trace: dropped}, "unknown 203.0.113.0/24": {Routes: someClients, Trace: fine},
		"asked": {Routes: fine, Trace: notShown}, "-": {Routes: notShown, Trace: notShown}, "shown": {Routes: fine, Trace: fine},
	} {
		f := familyStatus(uplinks.IPv4, health.Up, time.Hour, .01, 0)
		f.Proof = p
		got := statusText(health.Status{Uplinks: []health.UplinkStatus{{Name: "lte", Interface: "eth1", State: health.Up, Families: []health.FamilyStatus{f}}}}, testTime, terminal.Palette{})
		word, note, _ := strings.Cut(label, " ")
		if !strings.Contains(got, " 0%    "+word+" ") || strings.Contains(got, "reply path unknown: ") != (note != "") || !strings.Contains(got, note) {
			t.Errorf("%s: %s", label, got)
		}
	}
}

func TestColoursDoNotShiftColumns(t *testing.T) {
	got := statusText(troubledStatus(), testTime, terminal.Palette{Enabled: true})
	for _, want := range []string{"\x1b[31mnot in sync\x1b[0m", "\x1b[32mup\x1b[0m        12ms", "\x1b[33munproven\x1b[0m  8.1ms", "\x1b[33mup\x1b[0m        1.2s", "\x1b[31mdown\x1b[0m      -", "\x1b[1mUPLINK"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, code := range []string{"0", "1", "31", "32", "33"} {
		got = strings.ReplaceAll(got, "\x1b["+code+"m", "")
	}
	if diff := cmp.Diff(statusText(troubledStatus(), testTime, terminal.Palette{}), got); diff != "" {
		t.Error(diff)
	}
}

func TestStatusFitsEightyColumns(t *testing.T) {
	s := troubledStatus()
	for i := range s.Uplinks {
		u := &s.Uplinks[i]
		u.Name, u.Interface = strings.Repeat("n", 15), strings.Repeat("i", 15)
		for j := range u.Families {
			f := &u.Families[j]
			f.State, f.Since, f.Proof.Trace.Result = health.Unproven, testTime.Add(-23*time.Hour-59*time.Minute), health.Yes
			f.Probes[0].MeanRTTSeconds, f.Probes[0].LossPercent = 99.96, 100
			f.Reason = strings.Repeat("nobody answers ", 20)
		}
	}
	s.Error = strings.Repeat("word ", 100)
	for line := range strings.Lines(statusText(s, testTime, terminal.Palette{})) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > maxColumns {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestFormatFunctions(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{formatSeconds(.00004), "0.0ms"}, {formatSeconds(.00994), "9.9ms"}, {formatSeconds(.00996), "10ms"}, {formatSeconds(.9994), "999ms"}, {formatSeconds(.9996), "1.0s"}, {formatSeconds(60), "60.0s"},
		{formatPercent(0), "0%"}, {formatPercent(.01), "<1%"}, {formatPercent(1.4), "1%"}, {formatPercent(100), "100%"},
		{formatAge(testTime, testTime.Add(time.Hour)), "0s"}, {formatAge(testTime, time.Time{}), "-"}, {formatAge(testTime, testTime.Add(-61*time.Minute)), "1h01m"}, {formatAge(testTime, testTime.Add(-24*time.Hour)), "1d"},
		{sanitize("a\tb\r\n\x00c\u202ed é"), "a b c d é"},
		{fmt.Sprintf("%q", wrapText("", 5)), `[""]`}, {fmt.Sprintf("%q", wrapText("ab cd ef ghijklm n", 5)), `["ab cd" "ef" "ghijklm" "n"]`},
	} {
		if c.got != c.want {
			t.Errorf("%q, not %q", c.got, c.want)
		}
	}
}

func TestHealthyOnlyWhenInSyncAndEveryUplinkIsUp(t *testing.T) {
	good := func() health.Status {
		return health.Status{SyncStatus: health.SyncStatus{InSync: true}, Reload: &health.ReloadStatus{}, Uplinks: []health.UplinkStatus{{State: health.Up}, {State: health.Up}}}
	}
	if !healthy(good()) {
		t.Error("all is well, and is said not to be")
	}
	for name, spoil := range map[string]func(*health.Status){
		"not in sync":     func(s *health.Status) { s.InSync = false },
		"an error":        func(s *health.Status) { s.Error = "x" },
		"a bad reload":    func(s *health.Status) { s.Reload.Error = "x" },
		"one is unproven": func(s *health.Status) { s.Uplinks[1].State = health.Unproven },
		"one is down":     func(s *health.Status) { s.Uplinks[1].State = health.Down },
		"one is absent":   func(s *health.Status) { s.Uplinks[1].State = health.Absent },
	} {
		s := good()
		if spoil(&s); healthy(s) {
			t.Errorf("%s, and all is said to be well", name)
		}
	}
}
