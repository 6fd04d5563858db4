package health

import (
	"net"
	"net/netip"
	"strconv"

	"replypath/uplinks"
)

// ProbeKind is the protocol of a probe.
type ProbeKind string

// The kinds of probes.
const (
	Gateway ProbeKind = "gateway" // the uplink's gateway, by ARP or neighbour discovery
	ICMP    ProbeKind = "icmp"
	TCP     ProbeKind = "tcp"
	HTTP    ProbeKind = "http" // and https, by the scheme of the URL
)

// Target is the destination of a probe, and which answer it expects.
type Target struct {
	Kind   ProbeKind
	Host   string      // an address or a host name, without brackets; empty for Gateway
	Port   uint16      // TCP
	URL    string      // HTTP
	Status StatusCodes // HTTP; zero: 200 to 399
	Body   string      // HTTP: a part of the expected body; empty: any body
}

// StatusCodes are the HTTP status codes from First to Last.
type StatusCodes struct{ First, Last int }

// String returns the target as the configuration writes it.
func (t Target) String() string {
	switch t.Kind {
	case Gateway:
		return string(Gateway)
	case HTTP:
		return t.URL
	case TCP:
		return string(TCP) + "://" + net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port)))
	}
	if addr, err := netip.ParseAddr(t.Host); err == nil && addr.Is6() {
		return string(t.Kind) + "://[" + t.Host + "]"
	}
	return string(t.Kind) + "://" + t.Host
}

// SupportsFamily reports whether the target can be probed in the family: an address in its own, any other target in both.
func (t Target) SupportsFamily(f uplinks.Family) bool {
	addr, err := netip.ParseAddr(t.Host)
	return err != nil || uplinks.FamilyOf(addr) == f
}

// ProbesIn returns the configured probes whose targets support the family.
func (u UplinkSettings) ProbesIn(f uplinks.Family) []Probe {
	var all []Probe
	for _, p := range u.Probes {
		if p.Target.SupportsFamily(f) {
			all = append(all, p)
		}
	}
	return all
}

// ProbesFor returns the probes that the path is judged by: those of its family, and if there are none, one of its gateway,
// unless CarrierOnly is set. An OnLink path has no gateway to probe: the far end of a point-to-point link need not answer.
// On any other path a gateway that is not known yet is expected.
func (u UplinkSettings) ProbesFor(p Path) []Probe {
	var all []Probe
	for _, q := range u.ProbesIn(p.Family) {
		if q.Target.Kind != Gateway || !p.OnLink {
			all = append(all, q)
		}
	}
	if len(all) == 0 && !p.OnLink && !u.CarrierOnly {
		return []Probe{NewProbe(string(Gateway), Target{Kind: Gateway})}
	}
	return all
}

// Required returns how many of so many probes must be answered.
func (u UplinkSettings) Required(probes int) int { return min(max(u.Quorum, 1), probes) }
