package test

import (
	"strings"
	"testing"
	"time"

	"replypath/test/world"
)

// What the kernel does not announce is looked at again and again. The same harm done at once after its repair, between
// two looks, must not be taken for nothing new.
func TestRepeatedDamageIsRepairedEachTime(t *testing.T) {
	t.Parallel()
	const again = 5 // more would be a rival's
	b := newBox(t, conditions{rpFilter: 1}.build(t, 2, world.Options{}), backends[1])
	b.start()
	var took durations
	for range again {
		b.shell("iptables-legacy -w -t mangle -D OUTPUT -j REPLYPATH-OUT")
		took = append(took, eventually(t, 5*time.Second, "the jump is back", func() bool {
			return strings.Contains(b.listing("chains 4"), "-A OUTPUT -j REPLYPATH-OUT")
		}))
	}
	for range again {
		b.Gateway.SetSysctl("net.ipv4.conf.eth1.src_valid_mark", "0")
		took = append(took, eventually(t, 5*time.Second, "the sysctl is set", func() bool {
			return b.Gateway.Sysctl("net.ipv4.conf.eth1.src_valid_mark") == "1"
		}))
	}
	t.Log(took)
}
