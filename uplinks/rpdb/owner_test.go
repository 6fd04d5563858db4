package rpdb_test

import (
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

func TestOwnerOfKnownRules(t *testing.T) {
	by := func(protocol uint8) func(*rpdb.Rule) { return func(r *rpdb.Rule) { r.Protocol = protocol } }
	marked := func(mark, mask uint32) func(*rpdb.Rule) { return func(r *rpdb.Rule) { r.Mark, r.Mask = mark, mask } }
	table := func(t uplinks.Table) func(*rpdb.Rule) { return func(r *rpdb.Rule) { r.Table = t } }
	mainRule := func(r *rpdb.Rule) { r.Table, r.SuppressLength = uplinks.MainTable, 0 }
	d := database([]rpdb.Rule{
		rule(0, by(2)), rule(2001, by(82)), rule(5210, by(0), marked(0x80000, 0xff0000)), rule(5270, by(0), table(52)),
		rule(1001, by(3), table(1), func(r *rpdb.Rule) { r.In = "eth0" }), rule(2001, by(3), marked(0x100, 0x3f00)),
		rule(100, by(2), table(255)), rule(99, by(3), not, marked(0x100000, 0x100000)), rule(1024, by(3), marked(0x80, 0x80)),
		rule(32764, by(0), mainRule), rule(32765, by(3), not, marked(0xca6c, 0xffffffff), table(51820)),
		rule(220, by(3), table(220)), rule(29998, by(3), marked(0x20000, 0xff0000)),
		rule(7, by(18)), rule(7, by(4)), rule(7, by(3)), rule(7, by(77)), rule(32766, by(2)),
	})
	n := rpdb.Names{Protocols: map[uint8]string{2: "kernel", 3: "boot", 4: "static", 18: "keepalived"}, Static: "systemd-networkd"}
	want := []string{"kernel", "replypath", "Tailscale", "Tailscale", "mwan3", "mwan3", "Cilium", "Calico", "AWS VPC CNI",
		"wg-quick", "wg-quick", "strongSwan", "OpenWrt's pbr", "keepalived", "systemd-networkd", "unknown", "unknown", "kernel"}
	for i := range d.Rules {
		if got := d.Owner(&d.Rules[i], n); got != want[i] {
			t.Errorf("%d %s by %d is %s's, want %s", d.Rules[i].Priority, &d.Rules[i], d.Rules[i].Protocol, got, want[i])
		}
	}
	d.Rules = d.Rules[:10]
	if got := d.Owner(&d.Rules[9], n); got != rpdb.UnknownOwner {
		t.Errorf("without a tunnel's rule, one that spares main's routes is %s's", got)
	}
}
