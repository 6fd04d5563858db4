package fleet

import (
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
)

// The configuration of the example, on a host with the routes of two DHCP clients and of router advertisements.
func TestCloudInitMakesTwoUplinks(t *testing.T) {
	b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 2, world.Options{NoDefault: true}))
	box.ServeAll(b.Gateway)
	b.Shell("ip route add default via 198.51.100.1 dev eth0 proto dhcp metric 100", "ip route add default via 192.0.2.1 dev eth1 proto dhcp metric 200",
		"ip -6 route add default via fe80::1 dev eth0 proto ra metric 100", "ip -6 route add default via fe80::1 dev eth1 proto ra metric 200")
	_, rest, _ := strings.Cut(read(t, "../../etc/cloud-init/user-data.yaml"), "content: |\n")
	content, _, found := strings.Cut(rest, "runcmd:")
	if !found {
		t.Fatal("no content")
	}
	b.Write(strings.ReplaceAll(content, "      ", ""))
	b.Must(0, "check")
	b.Apply()
	b.RecordEgress().WantRepliesFromAll(t, b.Client, []world.Kind{world.KindTCP, world.KindUDP, world.KindPing})
}
