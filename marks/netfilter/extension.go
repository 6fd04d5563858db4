package netfilter

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"replypath/marks"
)

// extension is a match or target of xtables. Its info has the same bytes in both backends, and may be padded.
type extension struct {
	name     string
	revision uint8
	info     []byte
}

// uint32At and uint16At return numbers in host byte order. Check the size by is beforehand.
func (e extension) uint32At(at int) uint32 { return binary.NativeEndian.Uint32(e.info[at:]) }
func (e extension) uint16At(at int) uint16 { return binary.NativeEndian.Uint16(e.info[at:]) }

// is reports whether the extension has this name and revision, and at least size bytes.
func (e extension) is(name string, revision uint8, size int) bool {
	return e.name == name && e.revision == revision && len(e.info) >= size
}

// decodeMatch adds the match to a rule of the family. It reports whether the rule expresses it completely.
func (e extension) decodeMatch(r *marks.Rule, ipv6 bool) bool {
	switch {
	case e.is("mark", 1, sizeMark):
		return e.decodeMark(&r.Fwmark)
	case e.is("connmark", 1, sizeMark):
		return e.decodeMark(&r.Ctmark)
	case e.is("devgroup", 0, sizeDevgroup):
		return e.decodeDevgroup(r)
	case e.is("conntrack", 3, sizeConntrack):
		return e.decodeConntrack(r, ipv6)
	case e.is("mac", 0, sizeMAC):
		return e.decodeMAC(r)
	case e.is("bpf", 1, sizeBPF):
		return e.decodeBPF(r)
	case e.is("cluster", 0, sizeCluster):
		return e.decodeCluster(r)
	case e.is("addrtype", 1, sizeAddrtype):
		return e.decodeAddrtype(r)
	case e.is("policy", 0, sizePolicy):
		return e.decodePolicy(r)
	}
	return false
}

// sizeMAC is the size of struct xt_mac_info: an Ethernet address, and whether it is inverted.
const sizeMAC = 12

func (e extension) decodeMAC(r *marks.Rule) bool {
	if r.MAC != "" || e.uint32At(8) != 0 {
		return false
	}
	r.MAC = net.HardwareAddr(e.info[:6]).String()
	return true
}

// sizeMark is the size of struct xt_mark_mtinfo1 and of struct xt_connmark_mtinfo1.
const sizeMark = 9

func (e extension) decodeMark(into *marks.MarkMatch) bool {
	if *into != (marks.MarkMatch{}) || e.uint32At(4) == 0 || e.info[8] > 1 {
		return false
	}
	*into = marks.MarkMatch{Mark: marks.Mark(e.uint32At(0)), Mask: marks.Mask(e.uint32At(4)), Not: e.info[8] == 1}
	return true
}

// The size of struct xt_devgroup_info, its flags XT_DEVGROUP_MATCH_SRC and XT_DEVGROUP_MATCH_DST.
const (
	sizeDevgroup     = 20
	sourceGroup      = 1 << 0
	destinationGroup = 1 << 2
)

func (e extension) decodeDevgroup(r *marks.Rule) bool {
	if e.uint32At(0) == destinationGroup && e.uint32At(16) == 0xffffffff && e.uint32At(12) != 0 && r.DstGroup == 0 {
		r.DstGroup = e.uint32At(12)
		return true
	}
	if e.uint32At(0) != sourceGroup || e.uint32At(8) != 0xffffffff || e.uint32At(4) == 0 || r.SrcGroup != 0 {
		return false
	}
	r.SrcGroup = e.uint32At(4)
	return true
}

// The size of struct xt_conntrack_mtinfo3, the offsets of its origsrc_addr and repldst_addr, which the masks follow, its flags
// XT_CONNTRACK_STATE, XT_CONNTRACK_ORIGSRC, XT_CONNTRACK_REPLDST, XT_CONNTRACK_STATUS and XT_CONNTRACK_DIRECTION, IPS_ASSURED, and
// the bit of IP_CT_RELATED.
const (
	sizeConntrack  = 162
	origFrom       = 0
	replyTo        = 96
	matchState     = 1 << 0
	matchOrigFrom  = 1 << 2
	matchReplyTo   = 1 << 5
	matchStatus    = 1 << 6
	matchDirection = 1 << 12
	stateRelated   = 1 << 2
)

func (e extension) decodeConntrack(r *marks.Rule, ipv6 bool) bool {
	matchFlags, invertFlags, status := e.uint16At(146), e.uint16At(148), e.uint16At(152)
	if matchFlags == 0 || matchFlags&^(matchState|matchOrigFrom|matchReplyTo|matchStatus|matchDirection) != 0 || invertFlags&^matchFlags != 0 {
		return false
	}
	if matchFlags&matchState != 0 {
		if r.Packet.State != "" || e.uint16At(150) != stateRelated {
			return false
		}
		r.Packet.State, r.Packet.NotState = "RELATED", invertFlags&matchState != 0
	}
	if matchFlags&matchOrigFrom != 0 {
		p, ok := decodePrefix(e.info[origFrom:], ipv6)
		if !ok || r.OrigFrom.IsValid() || invertFlags&matchOrigFrom != 0 {
			return false
		}
		r.OrigFrom = p
	}
	if matchFlags&matchReplyTo != 0 {
		p, ok := decodePrefix(e.info[replyTo:], ipv6)
		if !ok || r.ReplyTo.IsValid() || invertFlags&matchReplyTo != 0 {
			return false
		}
		r.ReplyTo = p
	}
	if matchFlags&matchStatus != 0 {
		if r.NotAssured || status != marks.ConnAssured || invertFlags&matchStatus == 0 {
			return false
		}
		r.NotAssured = true
	}
	if matchFlags&matchDirection == 0 {
		return true
	}
	if r.Dir != "" {
		return false
	}
	if r.Dir = "ORIGINAL"; invertFlags&matchDirection != 0 {
		r.Dir = "REPLY"
	}
	return true
}

// decodePrefix decodes an address and its mask, two union nf_inet_addr. The kernel compares only the bytes of the family.
func decodePrefix(b []byte, ipv6 bool) (p netip.Prefix, ok bool) {
	const size = 16
	used := 4
	if ipv6 {
		used = size
	}
	a, _ := netip.AddrFromSlice(b[:used])
	mask := b[size : size+used]
	length := 0
	for length < 8*used && mask[length/8]&(0x80>>(length%8)) != 0 {
		length++
	}
	p = netip.PrefixFrom(a, length)
	contiguous := bytes.Equal(mask, net.CIDRMask(length, 8*used))
	return p, contiguous && length > 0 && p == p.Masked() && !a.Is4In6()
}

// The sizes of struct xt_connmark_tginfo1 and xt_connmark_tginfo2, and their modes. The second can also shift marks.
const (
	sizeConnmark1 = 13
	sizeConnmark2 = 15
	modeSet       = 0
	modeSave      = 1
	modeRestore   = 2
)

// decodeTarget returns the action of the target. It reports whether the action expresses it completely.
func (e extension) decodeTarget() (a marks.Action, ok bool) {
	var mode byte
	switch {
	case e.is("MARK", 2, sizeMarkTarget):
		return marks.Action{Kind: marks.SetMark, Mark: marks.Mark(e.uint32At(0)), Mask: marks.Mask(e.uint32At(4))}, true
	case e.name == "MASQUERADE":
		return marks.Action{Kind: marks.Masquerade}, e.isPlainMasquerade()
	case e.is("CONNMARK", 1, sizeConnmark1):
		mode = e.info[12]
	case e.is("CONNMARK", 2, sizeConnmark2) && e.info[12] == 0 && e.info[13] == 0:
		mode = e.info[14]
	default:
		return a, false
	}
	mark, mask, packet := e.uint32At(0), e.uint32At(4), e.uint32At(8)
	switch {
	case mode == modeSet:
		return marks.Action{Kind: marks.SetCtmark, Mark: marks.Mark(mark), Mask: marks.Mask(mask)}, true
	case mask == packet && mode == modeSave:
		return marks.Action{Kind: marks.SaveMark, Mask: marks.Mask(mask)}, true
	case mask == packet && mode == modeRestore:
		return marks.Action{Kind: marks.RestoreMark, Mask: marks.Mask(mask)}, true
	}
	return a, false
}
