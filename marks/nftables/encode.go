package nftables

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// The directions of a connection (enum ip_conntrack_dir).
const (
	directionOriginal = 0
	directionReply    = 1
)

// encodeRule returns the expressions of a rule, in the order in which nft(8) makes them of Rule.NFT. counter is the counter
// of the rule, if it has one.
func encodeRule(r marks.Rule, counter string, ipv6 bool) ([][]byte, error) {
	if err := r.CheckNFT(); err != nil {
		return nil, err
	}
	all := encodeMatches(r, ipv6)
	if counter != "" {
		all = append(all, nftnl.CountIn(counter))
	}
	return append(all, encodeAction(r.Action, ipv6)...), nil
}

// encodeMatches returns the expressions of what a rule matches.
func encodeMatches(r marks.Rule, ipv6 bool) (all [][]byte) {
	if r.SrcGroup != 0 {
		all = append(all, nftnl.Meta(unix.NFT_META_IIFGROUP, 0), nftnl.CompareMark(0, comparison(r.NotSrcGroup), r.SrcGroup))
	}
	if r.DstGroup != 0 {
		all = append(all, nftnl.Meta(unix.NFT_META_OIFGROUP, 0), nftnl.CompareMark(0, unix.NFT_CMP_EQ, r.DstGroup))
	}
	if r.NotAssured || r.Assured {
		all = append(all, nftnl.Ct(unix.NFT_CT_STATUS, 0), nftnl.MaskMark(0, marks.ConnAssured, 0), nftnl.CompareMark(0, comparison(r.Assured), 0))
	}
	if r.Dir != "" {
		all = append(all, encodeDirection(r.Dir)...)
	}
	if r.Fwmark != (marks.MarkMatch{}) {
		all = append(append(all, nftnl.Meta(unix.NFT_META_MARK, 0)), encodeMark(r.Fwmark)...)
	}
	if r.Ctmark != (marks.MarkMatch{}) {
		all = append(append(all, nftnl.Ct(unix.NFT_CT_MARK, 0)), encodeMark(r.Ctmark)...)
	}
	all = append(all, encodeState(r.Packet)...)
	if r.In != "" {
		all = append(all, nftnl.Meta(unix.NFT_META_IIFNAME, 0), encodeLink(r.In, r.NotIn))
	}
	if r.MAC != "" {
		all = append(all, encodeMAC(r.MAC)...)
	}
	if r.Out != "" {
		all = append(all, nftnl.Meta(unix.NFT_META_OIFNAME, 0), encodeLink(r.Out, false))
	}
	if r.ReplyTo.IsValid() {
		all = append(append(all, nftnl.CtOf(directionReply, replyDestination(ipv6), 0)), encodeNetwork(r.ReplyTo)...)
	}
	if r.OrigFrom.IsValid() {
		all = append(append(all, nftnl.CtOf(directionOriginal, originalSource(ipv6), 0)), encodeNetwork(r.OrigFrom)...)
	}
	all = append(all, encodePacket(r.Packet, ipv6)...)
	if r.IPsec {
		all = append(all, nftnl.Route(nftnl.RouteIPsec, 0), nftnl.Equals(0, []byte{1}))
	}
	if r.Cluster != (marks.Cluster{}) {
		all = append(all, encodeCluster(r.Cluster, ipv6)...)
	}
	return all
}

// encodeMAC returns the comparison of the source of an Ethernet frame.
func encodeMAC(text string) [][]byte {
	mac, _ := net.ParseMAC(text) // an address that is none matches no frame
	return append(loadMAC(), nftnl.Equals(0, mac))
}

// loadMAC returns the expressions that load the source of an Ethernet frame. Links of other kinds, which have another header there,
// do not match.
func loadMAC() [][]byte {
	ether := binary.NativeEndian.AppendUint16(nil, unix.ARPHRD_ETHER)
	return [][]byte{nftnl.Meta(unix.NFT_META_IIFTYPE, 0), nftnl.Equals(0, ether), nftnl.Field(unix.NFT_PAYLOAD_LL_HEADER, etherSource, macSize, 0)}
}

// etherSource is the offset of the source address in the header of an Ethernet frame.
const etherSource = 6

// encodeMark returns the comparison of a mark in the first register.
func encodeMark(m marks.MarkMatch) (all [][]byte) {
	if m.Mask != marks.FullMask {
		all = append(all, nftnl.MaskMark(0, uint32(m.Mask), 0))
	}
	return append(all, nftnl.CompareMark(0, comparison(m.Not), uint32(m.Mark)))
}

// comparison returns the operation of a comparison.
func comparison(not bool) uint32 {
	if not {
		return unix.NFT_CMP_NEQ
	}
	return unix.NFT_CMP_EQ
}

// encodeLink returns the comparison of the name of a link in the first register. A prefix is compared without the bytes
// behind it.
func encodeLink(name string, not bool) []byte {
	value := make([]byte, unix.IFNAMSIZ)
	copy(value, name)
	if prefix, isPrefix := strings.CutSuffix(name, "+"); isPrefix {
		value = []byte(prefix)
	}
	return nftnl.Compare(0, comparison(not), value)
}

// replyDestination returns the key of the address that a connection's replies have as their destination.
func replyDestination(ipv6 bool) uint32 {
	if ipv6 {
		return unix.NFT_CT_DST_IP6
	}
	return unix.NFT_CT_DST_IP
}

// originalSource returns the key of the address from which a connection's first packet was sent.
func originalSource(ipv6 bool) uint32 {
	if ipv6 {
		return unix.NFT_CT_SRC_IP6
	}
	return unix.NFT_CT_SRC_IP
}

// encodeNetwork returns the comparison of an address in the first register with a network: as nft(8) makes it, of the first bytes alone
// if the network is of whole bytes.
func encodeNetwork(p netip.Prefix) [][]byte {
	if p.Bits() > 0 && p.Bits()%8 == 0 {
		return [][]byte{nftnl.Equals(0, p.Masked().Addr().AsSlice()[:p.Bits()/8])}
	}
	length := len(p.Addr().AsSlice())
	mask := make([]byte, length)
	for bit := range p.Bits() {
		mask[bit/8] |= 0x80 >> (bit % 8)
	}
	return [][]byte{nftnl.Mask(0, mask, make([]byte, length)), nftnl.Equals(0, p.Masked().Addr().AsSlice())}
}

// encodeAction returns the expressions of an action.
func encodeAction(a marks.Action, ipv6 bool) [][]byte {
	chain := marks.NFTChain(a.Chain, ipv6)
	switch a.Kind {
	case marks.Count:
		return [][]byte{nftnl.Count()}
	case marks.Jump:
		return [][]byte{nftnl.Jump(chain)}
	case marks.Goto:
		return [][]byte{nftnl.Goto(chain)}
	case marks.Return:
		return [][]byte{nftnl.Return()}
	case marks.SetCtmark:
		return setCtmark(a)
	case marks.SetFwmark:
		return setFwmark(a)
	case marks.SetMarks:
		return append(setCtmark(a), setFwmark(a)...)
	case marks.Accept:
		return [][]byte{nftnl.Accept()}
	case marks.CopyCtmark, marks.AcceptCtmark:
		all := append(loadMasked(a.Mask, nftnl.Ct(unix.NFT_CT_MARK, 0)), nftnl.SetMeta(unix.NFT_META_MARK, 0))
		if a.Kind == marks.AcceptCtmark {
			return append(all, nftnl.Accept())
		}
		return append(all, nftnl.Return())
	case marks.TProxy:
		return append(append(encodeTProxy(a, ipv6), setFwmark(a)...), nftnl.Accept())
	case marks.Drop:
		return [][]byte{nftnl.Drop()}
	case marks.Masquerade:
		return [][]byte{nftnl.Masquerade()}
	case marks.LookUpOut:
		return [][]byte{nftnl.Meta(unix.NFT_META_OIFNAME, 0), nftnl.VerdictMap(chain, 0)}
	case marks.LookUpIn:
		return [][]byte{nftnl.Meta(unix.NFT_META_IIFNAME, 0), nftnl.VerdictMap(chain, 0)}
	case marks.LookUpMAC:
		return append(loadMAC(), nftnl.VerdictMap(chain, 0))
	case marks.LookUpFwmark:
		return append(loadMasked(a.Mask, nftnl.Meta(unix.NFT_META_MARK, 0)), nftnl.VerdictMap(chain, 0))
	case marks.LookUpCtmark:
		return append(loadMasked(a.Mask, nftnl.Ct(unix.NFT_CT_MARK, 0)), nftnl.VerdictMap(chain, 0))
	}
	return nil
}

// loadMasked returns the expressions that load a mark under the mask.
func loadMasked(mask marks.Mask, load []byte) [][]byte {
	if mask == marks.FullMask {
		return [][]byte{load}
	}
	return [][]byte{load, nftnl.MaskMark(0, uint32(mask), 0)}
}

func setCtmark(a marks.Action) [][]byte {
	return append(replaced(a, nftnl.Ct(unix.NFT_CT_MARK, 0)), nftnl.SetCt(unix.NFT_CT_MARK, 0))
}

func setFwmark(a marks.Action) [][]byte {
	return append(replaced(a, nftnl.Meta(unix.NFT_META_MARK, 0)), nftnl.SetMeta(unix.NFT_META_MARK, 0))
}

// replaced returns the expressions that put the action's mark in place of the bits under its mask.
func replaced(a marks.Action, load []byte) [][]byte {
	if a.Mask == marks.FullMask {
		return [][]byte{nftnl.Load(0, uint32(a.Mark))}
	}
	return [][]byte{load, nftnl.MaskMark(0, ^uint32(a.Mask), uint32(a.Mark))}
}

// encodeFamilyGoto returns the expressions of the rule of a base chain that leads the packets of a family to their hooks, or
// behind the gate of the only one to its chain.
func encodeFamilyGoto(b marks.NFTBase, ipv6, alone bool) [][]byte {
	all := [][]byte{nftnl.Meta(unix.NFT_META_NFPROTO, 0), nftnl.Equals(0, []byte{nftnl.FamilyNumber(ipv6)})}
	if !alone {
		return append(all, nftnl.Goto(b.HookChain(ipv6)))
	}
	chain, direction := b.Behind()
	if direction != "" {
		all = append(all, encodeDirection(direction)...)
	}
	return append(all, nftnl.Goto(marks.NFTChain(chain, ipv6)))
}

// encodeDirection returns the comparison of a packet's direction in its connection.
func encodeDirection(name string) [][]byte {
	direction := byte(directionOriginal)
	if name == "REPLY" {
		direction = directionReply
	}
	return [][]byte{nftnl.Ct(unix.NFT_CT_DIRECTION, 0), nftnl.Equals(0, []byte{direction})}
}
