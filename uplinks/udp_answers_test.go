package uplinks_test

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// withUDP returns the settings of the tests with answer = "asked".
func withUDP() uplinks.Settings {
	s := uplinkstest.Settings()
	s.UDP = &uplinks.UDPAnswers{Entries: uplinks.DefaultUDPEntries}
	return s
}

// udpLines returns the steps of a plan for the programs, as text.
func udpLines(p uplinks.Plan) (lines []string) {
	for _, s := range p {
		if s.Kind() == uplinks.KindUDP {
			lines = append(lines, s.String())
		}
	}
	return lines
}

func TestUDPProgramsFollowTheSettings(t *testing.T) {
	k := uplinkstest.NewFake(uplinkstest.Facts())
	sync := func(s uplinks.Settings) []string {
		t.Helper()
		plan, err := uplinks.Sync(t.Context(), k, s)
		if err != nil {
			t.Fatal(err)
		}
		return udpLines(plan)
	}
	if lines := sync(uplinkstest.Settings()); lines != nil {
		t.Errorf("without [udp]: %q", lines)
	}
	if lines := sync(withUDP()); len(lines) != 1 || !strings.HasPrefix(lines[0], "# [udp]: attach BPF programs to the root cgroup: ") {
		t.Errorf("with [udp]: %q", lines)
	}
	wide := withUDP()
	wide.Mask = 0xff00
	if lines := sync(wide); len(lines) != 1 || !strings.Contains(lines[0], "attach") {
		t.Errorf("with another mask: %q", lines)
	}
	if lines := sync(uplinkstest.Settings()); len(lines) != 1 || lines[0] != "# [udp]: detach the BPF programs" {
		t.Errorf("without [udp] again: %q", lines)
	}
}

func TestAnAddressThatIsGoneIsForbiddenFirst(t *testing.T) {
	facts := uplinkstest.Facts()
	k := uplinkstest.NewFake(facts)
	if _, err := uplinks.Sync(t.Context(), k, withUDP()); err != nil {
		t.Fatal(err)
	}
	name := withUDP().Uplinks[1].Link
	link := facts.Links[name]
	gone := link.Addrs[0].Prefix.Addr()
	link.Addrs = link.Addrs[1:]
	facts.Links[name] = link
	k.SetFacts(facts)
	plan, _, err := uplinks.Preview(t.Context(), k, withUDP(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan) == 0 || plan[0] != (uplinks.ForbidUDPAddr{Addr: gone}) {
		t.Errorf("the plan does not begin with %s:\n%s", uplinks.ForbidUDPAddr{Addr: gone}, plan)
	}
}

func TestRefusedUDPProgramsAreLeftOut(t *testing.T) {
	facts := uplinkstest.Facts()
	facts.UDPRefused = "no BPF"
	plan, _, err := uplinks.Preview(t.Context(), uplinkstest.NewFake(facts), withUDP(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if lines := udpLines(plan); lines != nil {
		t.Errorf("the plan has %q", lines)
	}
}

func TestOnlyAddressesOfManagedFamiliesAreAllowed(t *testing.T) {
	s := withUDP()
	for i := range s.Uplinks {
		s.Uplinks[i].Gateway6 = uplinks.Gateway{}
	}
	facts := uplinkstest.Facts()
	for a := range uplinks.Desired(s, facts, nil).UDPAddrs {
		if !a.Is4() {
			t.Errorf("%s is allowed in a family that no uplink has a gateway in", a)
		}
	}
	own, other := facts.Links[s.Uplinks[0].Link].SourceAddr(uplinks.IPv4), netip.MustParseAddr("203.0.113.9")
	if !facts.UDPHelped(s, own) || facts.UDPHelped(s, other) || facts.UDPHelped(uplinkstest.Settings(), own) {
		t.Error("UDPHelped differs from what the programs may choose")
	}
}
