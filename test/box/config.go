package box

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// ConfigureProbes configures a box with a probe of the client by each uplink, in both families.
func (b *Box) ConfigureProbes(lines ...string) {
	b.T.Helper()
	var text strings.Builder
	for _, line := range slices.Concat(b.Settings, lines) {
		fmt.Fprintln(&text, line)
	}
	for _, u := range b.Uplinks {
		fmt.Fprintf(&text, "[uplinks.isp%d]\nid = %d\ninterface = %q\ngateway = [%q, %q]\n", u.Index, u.Index+1, u.Link.Name, u.Router4, u.RouterLL)
		for name, to := range map[string]netip.Addr{"four": b.Client4, "six": b.Client6} {
			host := to.String()
			if to.Is6() {
				host = "[" + host + "]"
			}
			fmt.Fprintf(&text, "[uplinks.isp%d.probes.%s]\ntarget = \"icmp://%s\"\ninterval = \"200ms\"\ntimeout = \"2s\"\nretry = \"100ms\"\n", u.Index, name, host)
		}
	}
	b.Write(text.String())
}

// UplinkConfig returns an uplink's configuration.
func UplinkConfig(id int, link, gateway, rest string) string {
	return fmt.Sprintf("[uplinks.wan%d]\nid = %d\ninterface = %q\ngateway = %s\n%s\n", id, id, link, gateway, rest)
}

// AutoGateways has the gateways learnt from the kernel's routes, or the link need none.
const AutoGateways = `"auto"`

// GatewayOf writes another gateway for an uplink.
func (b *Box) GatewayOf(i int, gateway string) {
	b.T.Helper()
	text, err := os.ReadFile(b.Config)
	if err != nil {
		b.T.Fatal(err)
	}
	u := b.Uplinks[i]
	b.Write(strings.Replace(string(text), fmt.Sprintf("[%q, %q]", u.Router4, u.RouterLL), gateway, 1))
}
