package proof

import (
	"fmt"

	"replypath/health"
	"replypath/uplinks"
)

// expiredTTL is the TTL of packets that the next router drops.
const expiredTTL = 1

// hasServer reports whether a server of this host answers, which may choose such a TTL for neighbours on purpose (BGP).
func (r Request) hasServer(t trace) bool {
	return r.Kind == Listener || r.Kind == Service && !t.reached(ForwardEnd)
}

// expires returns that the next router drops the reply, as its TTL or hop limit ends there.
func (s Snapshot) expires(r Request, t trace) health.ProofCheck {
	name := map[uplinks.Family]string{uplinks.IPv4: "TTL", uplinks.IPv6: "hop limit"}[r.Path.Family]
	if initial := initialTTL(r.Path); s.Values[initial] == fmt.Sprint(expiredTTL) && !t.reached(ForwardEnd) {
		return health.ProofCheck{Result: health.No, Cause: health.OtherCause, Remedy: fmt.Sprintf("sysctl -w %s=64", initial),
			Detail: fmt.Sprintf("the next router drops the reply to %s: its %s is %d: %s", r, name, expiredTTL, s.sysctl(initial))}
	}
	c := t.rewritten(r, "behind its route", fmt.Sprintf("%s %d", name, expiredTTL))
	c.Detail += ": the next router drops it"
	return c
}

// initialTTL returns the sysctl with the TTL or hop limit of the packets that the host sends by the path.
func initialTTL(p health.Path) uplinks.Tunable {
	if p.Family == uplinks.IPv6 {
		return uplinks.Tunable{Link: p.Link, Name: "net.ipv6.conf.*.hop_limit"}
	}
	return uplinks.Tunable{Name: "net.ipv4.ip_default_ttl"}
}
