//go:build modules

package doctor

import (
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// Packets of accelerated connections have no mark when they leave: traffic control that selects by it does not see theirs.
func TestModulesAccelerationIsBlindToMarks(t *testing.T) {
	b := box.New(t, world.ISPs(t, 2), box.Nftables, "accelerate = true")
	b.Gateway.Run("tc", "qdisc", "add", "dev", "eth1", "root", "handle", "1:", "prio")
	b.Gateway.Run("tc", "filter", "add", "dev", "eth1", "parent", "1:", "protocol", "ip", "handle", "0x200", "fw", "flowid", "1:1")
	b.Must(0, "check")
	if d := b.RunDoctor(); len(d.Of("accelerated-unseen")) > 0 {
		t.Errorf("before there is a flow table: %s", d)
	}
	b.Apply()
	b.WantFinding(b.RunDoctor(), box.IsWarning, "accelerated-unseen", "eth1: filter fw, handle 0x200", "selects by mark", "out of accelerate")
	if d := b.RunDoctor(); len(d.Of("flow-offload")) > 0 {
		t.Errorf("the flow table of replypath is taken for another program's: %s", d)
	}
	b.Gateway.Run("tc", "qdisc", "del", "dev", "eth1", "root")
	if d := b.RunDoctor(); len(d.Of("accelerated-unseen")) > 0 {
		t.Errorf("without traffic control: %s", d)
	}
}
