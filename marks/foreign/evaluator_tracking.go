package foreign

import (
	"encoding/binary"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// hookNames has the hooks of the families ip, ip6 and inet by number, in the words of iptables (linux/netfilter.h).
var hookNames = [...]string{unix.NF_INET_PRE_ROUTING: "PREROUTING", unix.NF_INET_LOCAL_IN: "INPUT", unix.NF_INET_FORWARD: "FORWARD",
	unix.NF_INET_LOCAL_OUT: "OUTPUT", unix.NF_INET_POST_ROUTING: "POSTROUTING"}

// baseChainHooks returns the names of the hooks of base chains in the families ip, ip6 and inet, by location.
func baseChainHooks(chains []netfilter.Object) map[string]string {
	hooks := map[string]string{}
	for _, c := range chains {
		number := nlattr.Find(nlattr.Find(c.Attributes, unix.NFTA_CHAIN_HOOK), unix.NFTA_HOOK_HOOKNUM)
		if len(number) != 4 || c.Family != unix.NFPROTO_INET && c.Family != unix.NFPROTO_IPV4 && c.Family != unix.NFPROTO_IPV6 {
			continue
		}
		if n := binary.BigEndian.Uint32(number); int(n) < len(hookNames) {
			hooks[location(c, unix.NFTA_CHAIN_NAME)] = hookNames[n]
		}
	}
	return hooks
}

// evalZone evaluates an expression that writes the zone of connection tracking.
func (e *evaluator) evalZone(data []byte) {
	if netfilter.FindUint32(data, unix.NFTA_CT_KEY) == unix.NFT_CT_ZONE && netfilter.FindUint32(data, unix.NFTA_CT_SREG) != 0 {
		e.rule.Zone = true
		e.addTerm("ct zone set")
	}
}
