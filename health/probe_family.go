package health

import (
	"net/netip"

	"replypath/uplinks"
)

// SupportsFamily reports whether the target is asked in the family: an address in its own only, everything else in both.
func (t Target) SupportsFamily(f uplinks.Family) bool {
	addr, err := netip.ParseAddr(t.Host)
	return err != nil || uplinks.FamilyOf(addr) == f
}

// ProbesIn are the uplink's probes that are asked in the family. Where there is none, the gateway is asked.
func (u UplinkSettings) ProbesIn(f uplinks.Family) []Probe {
	var all []Probe
	for _, p := range u.Probes {
		if p.Target.SupportsFamily(f) {
			all = append(all, p)
		}
	}
	return all
}
