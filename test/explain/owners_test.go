package explain

import (
	"encoding/json"
	"fmt"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// ownersRules are the rules of programs as they make them, with $ip for the family, and the owner that explain must print, by
// their priorities.
var ownersRules = map[string]struct {
	lines string
	owner map[int]string
}{
	"the kernel and us": {":", map[int]string{0: "kernel", 32766: "kernel", 2000: "replypath", 2001: "replypath", 3999: "replypath"}},
	// wgengine/router/osrouter: ipRules.
	"Tailscale": {`$ip rule add pref 5210 fwmark 0x80000/0xff0000 table main
		$ip rule add pref 5230 fwmark 0x80000/0xff0000 table default
		$ip rule add pref 5250 fwmark 0x80000/0xff0000 type unreachable
		$ip rule add pref 5270 table 52`, map[int]string{5210: "Tailscale", 5230: "Tailscale", 5250: "Tailscale", 5270: "Tailscale"}},
	// wg-quick: add_default. The kernel chooses the priorities, each below the lowest that there is.
	"WireGuard": {`$ip rule add not fwmark 51820 table 51820
		$ip rule add table main suppress_prefixlength 0`, map[int]string{1999: "wg-quick", 1998: "wg-quick"}},
	"WireGuard, by hand with other numbers": {"$ip rule add pref 9000 not fwmark 0xca6c table 51820", map[int]string{9000: "wg-quick"}},
	// systemd-networkd writes [RoutingPolicyRule] sections with the protocol static.
	"systemd-networkd": {`$ip rule add pref 700 fwmark 7 table 77 protocol static`, map[int]string{700: "systemd-networkd"}},
	"a router daemon":  {`$ip rule add pref 701 fwmark 7 table 77 protocol bird`, map[int]string{701: "bird"}},
	"an unknown program": {`$ip rule add pref 702 fwmark 7 table 77
		$ip rule add pref 703 fwmark 7 table 77 protocol boot
		$ip rule add pref 704 fwmark 7 table 77 protocol 199`, map[int]string{702: "unknown", 703: "unknown", 704: "unknown"}},
}

// explainStep is a step of explain --json.
type explainStep struct {
	Priority    int
	Owner, Rule string
}

func TestExplainNamesTheOwnerOfEachRule(t *testing.T) {
	for name, c := range ownersRules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := box.New(t, world.TwoISPs(t))
			b.Apply()
			// What networkd keeps below /run while it runs, for this program alone.
			networkd := b.InMountNamespace("mkdir -p /run/systemd; mount -t tmpfs none /run/systemd; mkdir -p /run/systemd/netif/links; : > /run/systemd/netif/links/2")
			for family, to := range defaultRoutedAddr {
				b.Gateway.Run("sh", "-ec", fmt.Sprintf("ip='ip -%d'; %s", family, c.lines))
				// No rule before main's decides: all are visited.
				r := networkd("explain", "--json", to)
				var got struct{ Steps []explainStep }
				if err := json.Unmarshal([]byte(r.Stdout), &got); err != nil {
					t.Fatalf("%v: %s", err, r)
				}
				owner := map[int]string{}
				for _, s := range got.Steps {
					owner[s.Priority] = s.Owner
				}
				for priority, want := range c.owner {
					if owner[priority] != want {
						t.Errorf("IPv%d: the rule %d is %q's, want %q: %s", family, priority, owner[priority], want, r)
					}
				}
			}
		})
	}
}
