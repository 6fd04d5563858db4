package outbound

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
)

// choice is what explain --json says about [outbound].
type choice struct {
	By, Rule, Policy string
	Tier             int
	Uplinks, Unused  []string
}

// explain says which rule and policy choose, which rules it skips, and which uplinks the policy uses.
func TestExplainSaysWhichPolicyChooses(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Backends[0], `default = "all"`, `masquerade = "both"`,
		"[outbound.policies.all]", `tiers = [["isp0", "isp1"]]`,
		"[outbound.policies.spare]", `tiers = [["isp0"], ["isp1"]]`,
		"[outbound.rules.mail]", `ipproto = "tcp"`, "dport = 25", `use = "isp1"`,
		"[outbound.rules.spare]", `iif = "lan0"`, `use = "spare"`,
		"[outbound.rules.never]", `uidrange = "4242"`, `use = "prohibit"`)
	g.Apply()
	from := map[int]string{4: g.LAN4.String(), 6: g.LAN6.String()}
	for _, to := range g.servers() {
		lan := from[box.FamilyOf(to)]
		for _, c := range []struct {
			args   []string
			status int
			want   choice
			text   []string
		}{
			{[]string{"--proto", "tcp", "--dport", "25"}, 0, choice{By: "rule", Rule: "mail", Policy: "isp1", Tier: 1, Uplinks: []string{"isp1"}},
				[]string{"outbound: rule mail decides\n", "outbound: policy isp1, tier 1: isp1\n", "it leaves by eth1 (uplink isp1)"}},
			{[]string{"--in", "lan0", "--from", lan}, 0, choice{By: "rule", Rule: "spare", Policy: "spare", Tier: 1, Uplinks: []string{"isp0"}, Unused: []string{"isp1"}},
				[]string{"outbound: rule mail does not fit: ", "outbound: rule spare decides\n", "outbound: policy spare, tier 1: isp0; not in use: isp1\n"}},
			{nil, 0, choice{By: "default", Policy: "all", Tier: 1, Uplinks: []string{"isp0", "isp1"}},
				[]string{"outbound: rule never does not fit: ", "outbound: no rule fits: the default decides\n", "outbound: policy all, tier 1: isp0, isp1\n"}},
			{[]string{"--uid", "4242"}, 3, choice{By: "rule", Rule: "never"}, []string{"outbound: rule never decides\n"}},
			{[]string{"--out", "eth1"}, 0, choice{By: "device", Uplinks: []string{"isp1"}}, []string{"outbound: the socket is bound to the interface of isp1\n"}},
		} {
			args := append([]string{"explain", to.String()}, c.args...)
			text := g.Must(c.status, args...).Stdout
			for _, want := range c.text {
				if !strings.Contains(text, want) {
					t.Errorf("%v has no %q:\n%s", args, want, text)
				}
			}
			var report struct{ Outbound *choice }
			if err := json.Unmarshal([]byte(g.Must(c.status, append(args, "--json")...).Stdout), &report); err != nil {
				t.Fatal(err)
			}
			o := report.Outbound
			if o == nil || o.By != c.want.By || o.Rule != c.want.Rule || o.Policy != c.want.Policy || o.Tier != c.want.Tier || !slices.Equal(o.Uplinks, c.want.Uplinks) || !slices.Equal(o.Unused, c.want.Unused) {
				t.Errorf("%v --json: %+v, want %+v", args, o, c.want)
			}
		}
		// A specific route of main wins, and so does a mark.
		g.Gateway.Run("ip", "route", "replace", to.String(), "via", map[int]string{4: g.Uplinks[1].Router4.String(), 6: g.Uplinks[1].Router6.String()}[box.FamilyOf(to)], "dev", "eth1")
		g.Explain(t, 0, []string{to.String()}, "outbound: main has a route to this network")
		g.Gateway.Run("ip", "route", "del", to.String())
	}
}

// verify shows by which uplinks each policy leads, and that a rule of another program takes what a policy should.
func TestVerifyShowsTheWayOutOfEachPolicy(t *testing.T) {
	t.Parallel()
	g := newGateway(t, box.Nftables, `default = "all"`, `masquerade = "both"`,
		"[outbound.policies.all]", `tiers = [["isp0", "isp1"]]`,
		"[outbound.rules.mail]", `ipproto = "tcp"`, "dport = 25", `use = "isp1"`,
		"[outbound.rules.guests]", `iif = "lan0"`, `use = "isp0"`)
	g.Apply()
	check := func(status int) map[string]string {
		var report struct {
			Policies []struct{ Policy, Family, By, Packet, Result, Cause, Why string }
		}
		if err := json.Unmarshal([]byte(g.Must(status, "verify", "--json").Stdout), &report); err != nil {
			t.Fatal(err)
		}
		results := map[string]string{}
		for _, p := range report.Policies {
			key := p.Family + " " + p.By
			if !strings.HasPrefix(results[key], "no ") && results[key] != "yes" {
				results[key] = strings.TrimSpace(p.Result + " " + strings.TrimPrefix(p.Cause, "other"))
			}
		}
		return results
	}
	good := check(0)
	for _, want := range []string{"ipv4 default", "ipv6 default", "ipv4 mail", "ipv6 guests"} {
		if good[want] != "yes" {
			t.Errorf("%s: %q of %v", want, good[want], good)
		}
	}
	if text := g.Must(0, "verify").Stdout; !strings.Contains(text, "policy  family  by") || !strings.Contains(text, "isp0,isp1") {
		t.Errorf("verify prints\n%s", text)
	}
	g.Gateway.Run("ip", "rule", "add", "priority", "5000", "not", "fwmark", "0x100/0x1f00", "lookup", "5000")
	g.Gateway.Run("ip", "route", "add", "default", "via", g.Uplinks[0].Router4.String(), "dev", "eth0", "table", "5000")
	if bad := check(3); bad["ipv4 mail"] != "no rule-shadowed" || bad["ipv6 mail"] != "yes" {
		t.Errorf("beside a rule that comes first: %v", bad)
	}
}
