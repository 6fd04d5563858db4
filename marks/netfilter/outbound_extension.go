package netfilter

import (
	"bytes"
	"math/bits"

	"replypath/marks"
)

// Sizes of structs that only rules for outbound connections have: xt_cluster_match_info, xt_addrtype_info_v1, xt_mark_tginfo2,
// nf_nat_ipv4_multi_range_compat and nf_nat_range.
const (
	sizeCluster     = 16
	sizeAddrtype    = 8
	sizeMarkTarget  = 8
	sizeMasquerade4 = 20
	sizeMasquerade6 = 40
)

// decodeCluster decodes the share of all senders: it matches one of a number of nodes.
func (e extension) decodeCluster(r *marks.Rule) bool {
	if r.Cluster != (marks.Cluster{}) || bits.OnesCount32(e.uint32At(4)) != 1 || e.uint32At(12) != 0 {
		return false
	}
	r.Cluster = marks.Cluster{Total: e.uint32At(0), Node: uint32(bits.TrailingZeros32(e.uint32At(4))), Seed: e.uint32At(8)}
	return true
}

// The destination type RTN_LOCAL, and the flag XT_ADDRTYPE_INVERT_DEST.
const (
	localType         = 1 << 2
	invertDestination = 1 << 1
)

func (e extension) decodeAddrtype(r *marks.Rule) bool {
	if r.Packet.DstType != (marks.AddrType{}) || e.uint16At(0) != 0 || e.uint16At(2) != localType || e.uint32At(4) != invertDestination {
		return false
	}
	r.Packet.DstType = marks.AddrType{Not: true, Type: "LOCAL"}
	return true
}

// The size of struct xt_policy_info without its padding, the size of its array pol, and its flag XT_POLICY_MATCH_OUT.
const (
	sizePolicy     = policyElements + 4
	policyElements = 4 * 76
	matchOut       = 1 << 1
)

// decodePolicy decodes the match of what any IPsec policy transforms: one element, which compares nothing.
func (e extension) decodePolicy(r *marks.Rule) bool {
	if r.IPsec || !zero(e.info[:policyElements]) || e.uint16At(policyElements) != matchOut || e.uint16At(policyElements+2) != 1 {
		return false
	}
	r.IPsec = true
	return true
}

// isPlainMasquerade reports whether the target MASQUERADE has no options: IPv4 has one range in a list of one, IPv6 a range.
func (e extension) isPlainMasquerade() bool {
	switch {
	case e.revision != 0:
		return false
	case len(e.info) >= sizeMasquerade6:
		return zero(e.info[:sizeMasquerade6])
	case len(e.info) >= sizeMasquerade4:
		return e.uint32At(0) == 1 && zero(e.info[4:sizeMasquerade4])
	}
	return false
}

func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
