package verify

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The kernel drops what a rule hands to a queue that no program reads: verify names the rule, and doctor finds it.
func TestAQueueThatNoProgramReadsIsNamed(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.TwoISPs(t), backend)
		b.Apply()
		b.Verify().WantOK(t, 2)
		b.Iptables(4, "-A", "INPUT", "-i", "eth1", "-j", "NFQUEUE", "--queue-num", "3")
		named := false
		for _, p := range b.Verify().Paths {
			if p.Interface == "eth1" && p.Family == "ipv4" {
				named = p.Verdict.Result == "unknown" && p.Verdict.Cause == "firewall" && strings.Contains(p.Verdict.Why, "NFQUEUE --queue-num 3")
				if !named {
					t.Errorf("the verdict is %+v", p.Verdict)
				}
			}
		}
		found := len(b.RunDoctor().Of("queue-unread")) > 0
		if !named || !found {
			t.Errorf("named by verify: %v, found by doctor: %v", named, found)
		}
		b.Iptables(4, "-D", "INPUT", "-i", "eth1", "-j", "NFQUEUE", "--queue-num", "3")
		b.Iptables(4, "-A", "INPUT", "-i", "eth1", "-j", "NFQUEUE", "--queue-num", "3", "--queue-bypass")
		b.Verify().WantOK(t, 2)
	})
}
