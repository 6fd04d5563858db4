package foreign

import (
	"encoding/binary"
	"net/netip"

	"replypath/marks/netfilter"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// loadProtocol evaluates an expression that loads the protocol of the transport layer into a register.
func (e *evaluator) loadProtocol(data []byte) bool {
	if netfilter.FindUint32(data, unix.NFTA_META_KEY) != unix.NFT_META_L4PROTO {
		return false
	}
	e.registers[registerOf(data, unix.NFTA_META_DREG)] = registerValue{proto: true}
	return true
}

// matchProtocol records the protocol that the rule is limited to, if it compares with a single one.
func (e *evaluator) matchProtocol(data []byte) {
	v := nlattr.Find(nlattr.Find(data, unix.NFTA_CMP_DATA), unix.NFTA_DATA_VALUE)
	if e.registers[registerOf(data, unix.NFTA_CMP_SREG)].proto && netfilter.FindUint32(data, unix.NFTA_CMP_OP) == unix.NFT_CMP_EQ && len(v) == 1 {
		e.proto = v[0]
	}
}

// evalNAT evaluates an expression that translates addresses. To redirect is to translate the destination to an address of this
// host.
func (e *evaluator) evalNAT(name string, data []byte) {
	switch {
	case name == "redir":
		e.addTerm("redirect")
	case netfilter.FindUint32(data, unix.NFTA_NAT_TYPE) != unix.NFT_NAT_DNAT:
		e.rule.TranslatesSource = true
		e.addTerm("snat")
		return
	case e.isLoopbackDNAT(data):
		e.rule.LoopbackDNAT = true
		e.addTerm("dnat to %s", e.translatedTo(data))
	default:
		e.addTerm("dnat")
	}
	e.rule.TranslatesDestination = true
}

// isLoopbackDNAT reports whether the expression translates the destination of datagrams to 127.0.0.0/8.
func (e *evaluator) isLoopbackDNAT(data []byte) bool {
	to := e.registers[registerOf(data, unix.NFTA_NAT_REG_ADDR_MIN)]
	return netfilter.FindUint32(data, unix.NFTA_NAT_FAMILY) == unix.NFPROTO_IPV4 && to.source == "" && e.translatedTo(data).IsLoopback() && e.proto != unix.IPPROTO_TCP
}

// translatedTo returns the IPv4 address that the expression translates to, 0.0.0.0 if it is unknown.
func (e *evaluator) translatedTo(data []byte) netip.Addr {
	to := e.registers[registerOf(data, unix.NFTA_NAT_REG_ADDR_MIN)]
	return netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, to.value)))
}
