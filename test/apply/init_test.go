package apply

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// section returns the lines of a proposal that belong to the table of an uplink: its comments, and the table.
func section(proposal, name string) string {
	for part := range strings.SplitSeq(proposal, "\n\n") {
		if strings.Contains(part, "[uplinks."+name+"]\n") {
			return part
		}
	}
	return ""
}

// Where main has several default routes, init proposes a policy that prefers what main prefers. Its lines are valid as they are.
func TestInitProposesAPolicy(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.ISPs(t, 3))
	if proposal := b.Must(0, "init").Stdout; strings.Contains(proposal, "[outbound]") {
		t.Errorf("a policy for one default route:\n%s", proposal)
	}
	b.Shell("ip route add default via 192.0.2.1 dev eth1 metric 200", "ip -6 route flush default")
	b.Gateway.Run("ip", "route", "append", "default", "via", b.Uplinks[2].Router4.String(), "dev", "eth2", "metric", "200")
	proposal := b.Must(0, "init").Stdout
	if want := "\n#[outbound.policies.internet]\n#tiers    = [[\"eth0\"], [\"eth1\", \"eth2\"]]\n"; !strings.Contains(proposal, want) {
		t.Fatalf("the proposal has no %q:\n%s", want, proposal)
	}
	before, policy, _ := strings.Cut(proposal, "\n#[outbound]\n")
	b.Write(before + "\n[outbound]\n" + strings.ReplaceAll(policy, "\n#", "\n")[1:])
	if r := b.Must(0, "check"); !strings.Contains(r.Stdout, "policy internet: ") {
		t.Errorf("check of the proposal: %s", r)
	}
	b.Apply()
	if text := b.Must(0, "explain", "203.0.113.77").Stdout; !strings.Contains(text, "policy internet, tier 1: eth0; not in use: eth1, eth2") {
		t.Errorf("explain:\n%s", text)
	}
}

// A kernel with what init has to tell apart: a lease that ISC dhclient has taken (its route looks like one of an operator), a
// second router on a link, a tunnel with a default route, and a link that is down.
func TestInitTellsLinksApart(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.ISPs(t, 3))
	b.Shell("ip addr del 192.0.2.2/24 dev eth1", "ip addr add 192.0.2.2/24 valid_lft 3600 preferred_lft 3600 dev eth1",
		"ip route add default via 192.0.2.1 dev eth1 metric 200",
		"ip route add default via 198.51.100.9 dev eth0 metric 300",
		"ip tuntap add name vpn0 mode tun", "ip addr add 198.18.7.2/24 dev vpn0", "ip link set vpn0 up", "ip route add default dev vpn0 metric 50",
		"ip link set eth2 down")
	proposal := b.Must(0, "init").Stdout
	for name, want := range map[string]string{
		"eth0": "# A second router is on it, 198.51.100.9: replies leave by the gateway that is written here.",
		"eth1": `gateway   = "auto-ipv4"`,
		"vpn0": "# It is a tunnel: an uplink only if its requests come from the Internet",
	} {
		if part := section(proposal, name); !strings.Contains(part, want) {
			t.Errorf("the table of %s has no %q:\n%s", name, want, proposal)
		}
	}
	for _, want := range []string{"# eth2 is down: if it is an uplink, bring it up", "\n#[uplinks.vpn0]", "# The names of the tables are yours to choose", "\n#[uplinks.eth0.probes.internet]"} {
		if !strings.Contains(proposal, want) {
			t.Errorf("the proposal has no %q:\n%s", want, proposal)
		}
	}
	if strings.Contains(proposal, "\n[uplinks.vpn0]") || strings.Contains(proposal, "Only eth0 is an uplink") {
		t.Errorf("the proposal:\n%s", proposal)
	}
	b.Shell("ip link set eth1 down")
	if proposal := b.Must(0, "init").Stdout; !strings.Contains(proposal, "# Only eth0 is an uplink now") || !strings.Contains(proposal, "# eth1 is down") {
		t.Errorf("the proposal with one uplink:\n%s", proposal)
	}
}
