package networkd_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/networkd"
)

func TestLeaseGivesGatewayOfLinkWithoutDefaultRoute(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"2":     "# This is private data. Do not parse.\nADDRESS=192.0.2.2\nNETMASK=255.255.255.0\nROUTER=192.0.2.1 192.0.2.9\n",
		"3":     "ADDRESS=198.51.100.2\nROUTER=198.51.100.1\n",
		"4":     "ADDRESS=203.0.113.2\n",
		"5":     "ROUTER=nonsense\n",
		"9":     "ROUTER=198.18.0.1\n",
		"notes": "ROUTER=198.18.0.1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own := uplinks.NextHop{Family: uplinks.IPv4, Table: uplinks.MainTable, Gateway: netip.MustParseAddr("198.51.100.7")}
	facts := uplinks.Facts{Links: map[string]uplinks.Link{
		"eth0": {Name: "eth0", Index: 2},
		"eth1": {Name: "eth1", Index: 3, Defaults: []uplinks.NextHop{own}},
		"eth2": {Name: "eth2", Index: 4},
		"eth3": {Name: "eth3", Index: 5},
	}}
	networkd.Read(dir, &facts)
	networkd.Read(filepath.Join(dir, "none"), &facts)
	want := map[string]netip.Addr{"eth0": netip.MustParseAddr("192.0.2.1"), "eth1": own.Gateway, "eth2": {}, "eth3": {}}
	for name, gateway := range want {
		hops := facts.Links[name].Defaults
		switch {
		case !gateway.IsValid() && len(hops) != 0:
			t.Errorf("%s: %v out of nothing", name, hops)
		case gateway.IsValid() && (len(hops) != 1 || hops[0].Gateway != gateway):
			t.Errorf("%s: %v, want %s", name, hops, gateway)
		}
	}
}
