package doctor

import (
	"os"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Without a configuration the kernel's own routes send the replies of the second uplink out by the first.
func TestDoctorReportsWhichRepliesStrayWithoutConfiguration(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.TwoISPs(t))
	if err := os.Remove(b.Config); err != nil {
		t.Fatal(err)
	}
	if found := b.RunDoctor().Of("unconfigured"); len(found) > 0 {
		t.Errorf("with one default route: %+v", found)
	}
	b.Gateway.Run("sh", "-ec", "ip route add default via 192.0.2.1 dev eth1 metric 200; ip -6 route add default via 2001:db8:b::1 dev eth1 metric 2000")
	b.WantFinding(b.RunDoctor(), box.IsWarning, "unconfigured", "eth1", "init --write", "192.0.2.2", "2001:db8:b::2", "leaves by eth0")
	b.Gateway.Run("sh", "-ec", "for a in 192.0.2.2 2001:db8:b::2; do f=-4; case $a in *:*) f=-6; esac; ip $f route add default dev eth1 table 77; ip $f rule add from $a lookup 77; done")
	if found := b.RunDoctor().Of("unconfigured"); len(found) > 0 {
		t.Errorf("with rules by source: %+v", found)
	}
}
