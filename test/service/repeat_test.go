package service

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Changes that the kernel does not announce are polled. The same damage at once after its repair, between
// two looks, must not be taken for nothing new.
func TestRepeatedDamageIsRepairedEachTime(t *testing.T) {
	t.Parallel()
	const again = 5 // more would count as a conflict
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{}), box.Backends[1])
	b.Start()
	var took box.Durations
	for range again {
		b.Shell("iptables-legacy -w -t mangle -D OUTPUT -j REPLYPATH-OUT")
		took = append(took, box.Eventually(t, box.EventualTimeout, "the jump is back", func() bool {
			return strings.Contains(listing(b, "chains 4"), "-A OUTPUT -j REPLYPATH-OUT")
		}))
	}
	for range again {
		b.Gateway.SetSysctl("net.ipv4.conf.eth1.src_valid_mark", "0")
		took = append(took, box.Eventually(t, box.EventualTimeout, "the sysctl is set", func() bool {
			return b.Gateway.Sysctl("net.ipv4.conf.eth1.src_valid_mark") == "1"
		}))
	}
	t.Log(took)
}
