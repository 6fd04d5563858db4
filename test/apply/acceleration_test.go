package apply

import (
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/flowtable"
	"replypath/test/box"
	"replypath/test/world"
)

// Where the kernel has flow tables, accelerate makes one, and a flush deletes it; where it has none, a warning says so, and
// everything else is applied. Without accelerate there is none.
func TestAccelerateMakesAFlowTableOrWarns(t *testing.T) {
	t.Parallel()
	box.EachFirewall(t, func(t *testing.T, backend string) {
		b := box.New(t, world.ISPs(t, 2), backend, `accelerate = ["isp0", "isp1", "lan0", "absent0"]`)
		b.Gateway.Run("nft", "add table inet other")
		var refused error
		b.Gateway.Do(func() { refused = flowtable.Check() })
		checked := b.Must(0, "check")
		r := b.Must(0, "apply")
		if r := b.Must(0, "plan"); r.Stdout != "" {
			t.Errorf("plan after apply: %s", r)
		}
		has := strings.Contains(b.Gateway.Run("nft", "list", "tables"), "inet "+marks.FlowTableName+"\n")
		if warns := strings.Contains(r.Stderr, "accelerate has no effect: nftables: create the flow table flows: "); has != (refused == nil) || warns == has {
			t.Errorf("the kernel's answer is %v, there is a table: %t; apply: %s", refused, has, r)
		}
		for _, r := range []box.Result{r, checked} {
			if !strings.Contains(r.Stderr, "accelerate leaves out absent0: there is no such link") {
				t.Errorf("the absent link is not named: %s", r)
			}
		}
		b.Must(0, "flush")
		if tables := b.Gateway.Run("nft", "list", "tables"); strings.Contains(tables, marks.FlowTableName) {
			t.Errorf("after flush: %s", tables)
		}
		b.Settings = []string{backend}
		b.Configure(b.Uplinks...)
		if r := b.Must(3, "plan"); strings.Contains(r.Stdout, marks.FlowTableName) {
			t.Errorf("without accelerate: %s", r)
		}
	})
}

// Links on which flow tables are not shown to be right are named, with what they are; the other ones are accelerated.
func TestAccelerateNamesTheLinksThatItLeavesOut(t *testing.T) {
	t.Parallel()
	b := box.New(t, world.ISPs(t, 2), box.Nftables, `accelerate = ["isp0", "isp1", "lan0", "br0", "port0", "tun0", "mac0"]`)
	b.Gateway.Run("ip", "link", "add", "br0", "type", "bridge")
	b.Gateway.Run("ip", "link", "add", "port0", "type", "veth", "peer", "name", "port1")
	b.Gateway.Run("ip", "link", "set", "port0", "master", "br0")
	b.Gateway.Run("ip", "tuntap", "add", "tun0", "mode", "tun")
	b.Gateway.Run("ip", "link", "add", "mac0", "link", "lan0", "type", "macvlan")
	for _, link := range []string{"br0", "port0", "port1", "tun0", "mac0"} {
		b.Gateway.Run("ip", "link", "set", link, "up")
	}
	for _, command := range []string{"check", "apply"} {
		r := b.Must(0, command)
		for _, named := range []string{"mac0: it is of the kind macvlan", "port0: it is a port of br0", "tun0: it has no Ethernet header"} {
			if !strings.Contains(r.Stderr, named) {
				t.Errorf("%s does not say %q: %s", command, named, r)
			}
		}
		for _, link := range []string{"eth0: ", "eth1: ", "lan0: ", "br0: "} {
			if strings.Contains(r.Stderr, "leaves out "+link) || strings.Contains(r.Stderr, "; "+link) {
				t.Errorf("%s names %s: %s", command, link, r)
			}
		}
	}
	b.Settings = []string{box.Nftables, "accelerate = true"}
	b.Configure(b.Uplinks...)
	if r := b.Must(0, "check"); !strings.Contains(r.Stderr, "mac0: it is of the kind macvlan") || strings.Contains(r.Stderr, "port0: it is a port") {
		t.Errorf("of all links: %s", r)
	}
}
