package marks

import (
	"fmt"
	"net/netip"
	"strings"
)

// NFT formats the rule in the syntax of nft(8), for NFTTable. It returns an ErrUnsupported for a rule of a kind that the
// backend Nftables does not have.
func (r Rule) NFT(ipv6 bool) (string, error) {
	if err := r.CheckNFT(); err != nil {
		return "", err
	}
	var w ruleLine
	r.addNFTMatches(&w, ipv6)
	if text := r.Action.nft(ipv6); text != "" {
		w.add(text)
	}
	return string(w), nil
}

// CheckNFT returns an ErrUnsupported for a rule of a kind that the backend Nftables does not have.
func (r Rule) CheckNFT() error {
	chain, ours := r.Action.Chain, true
	if chain != "" {
		parsed, is := ParseNFTChain(NFTChain(chain, false), false)
		ours = is && parsed == chain
	}
	if r.Opaque != "" || r.MACBit != 0 || !ours || r.Action.nft(false) == "" || !r.Packet.hasNFT() {
		return fmt.Errorf("the rule %q: %w: the backend %q has no such rule", r, ErrUnsupported, Nftables)
	}
	return nil
}

// addNFTMatches adds the properties that the rule matches, those first that fewest packets have.
func (r Rule) addNFTMatches(w *ruleLine, ipv6 bool) {
	switch {
	case r.NotSrcGroup:
		w.add("iifgroup != ", hex(r.SrcGroup))
	case r.SrcGroup != 0:
		w.add("iifgroup ", hex(r.SrcGroup))
	}
	if r.DstGroup != 0 {
		w.add("oifgroup ", hex(r.DstGroup))
	}
	if r.NotAssured {
		w.add("ct status and assured == 0")
	}
	if r.Assured {
		w.add("ct status and assured != 0")
	}
	if r.Dir != "" {
		w.add("ct direction ", strings.ToLower(r.Dir))
	}
	if r.Fwmark != (MarkMatch{}) {
		w.add("meta mark ", r.Fwmark.nft())
	}
	if r.Ctmark != (MarkMatch{}) {
		w.add("ct mark ", r.Ctmark.nft())
	}
	r.Packet.addNFTState(w)
	if r.In != "" {
		w.add("iifname ", nftLink(r.In, r.NotIn))
	}
	if r.MAC != "" {
		w.add("ether saddr ", r.MAC)
	}
	if r.Out != "" {
		w.add("oifname ", nftLink(r.Out, false))
	}
	if r.ReplyTo.IsValid() {
		w.add("ct reply ", NFTFamily(ipv6), " daddr ", nftPrefixText(r.ReplyTo))
	}
	if r.OrigFrom.IsValid() {
		w.add("ct original ", NFTFamily(ipv6), " saddr ", nftPrefixText(r.OrigFrom))
	}
	r.Packet.addNFT(w, ipv6)
	if r.IPsec {
		w.add("rt ipsec exists")
	}
	if r.Cluster != (Cluster{}) {
		w.add(r.Cluster.nft(ipv6))
	}
}

// nftPrefixText formats a network as nft(8) prints it.
func nftPrefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// nftLink formats the comparison with a link's name.
func nftLink(name string, not bool) string {
	if prefix, isPrefix := strings.CutSuffix(name, "+"); isPrefix {
		name = prefix + "*"
	}
	if not {
		return `!= "` + name + `"`
	}
	return `"` + name + `"`
}

// nft formats the comparison of a mark.
func (m MarkMatch) nft() string {
	operator := "=="
	if m.Not {
		operator = "!="
	}
	if m.Mask == FullMask {
		return operator + " " + m.Mark.String()
	}
	return "and " + m.Mask.String() + " " + operator + " " + m.Mark.String()
}

// nft formats the action. It returns nothing for a kind that it does not know.
func (a Action) nft(ipv6 bool) string {
	set := "set " + a.Mark.String()
	under := ""
	if a.Mask != FullMask {
		under = " and " + a.Mask.String()
	}
	replaced := func(mark string) string {
		if a.Mask == FullMask {
			return mark + " " + set
		}
		return mark + " set " + mark + " and " + (^a.Mask).String() + " or " + a.Mark.String()
	}
	switch a.Kind {
	case Count:
		return "counter"
	case Jump:
		return "jump " + NFTChain(a.Chain, ipv6)
	case Goto:
		return "goto " + NFTChain(a.Chain, ipv6)
	case Return:
		return "return"
	case SetCtmark:
		return replaced("ct mark")
	case SetFwmark:
		return replaced("meta mark")
	case SetMarks:
		return replaced("ct mark") + " " + replaced("meta mark")
	case CopyCtmark:
		return "meta mark set ct mark" + under + " return"
	case AcceptCtmark:
		return "meta mark set ct mark" + under + " accept"
	case Accept:
		return "accept"
	case TProxy:
		return "tproxy " + NFTFamily(ipv6) + " to " + a.nftProxy() + " " + replaced("meta mark") + " accept"
	case Drop:
		return "drop"
	case Masquerade:
		return "masquerade"
	case LookUpIn:
		return "iifname vmap @" + NFTChain(a.Chain, ipv6)
	case LookUpMAC:
		return "ether saddr vmap @" + NFTChain(a.Chain, ipv6)
	case LookUpOut:
		return "oifname vmap @" + NFTChain(a.Chain, ipv6)
	case LookUpFwmark:
		return "meta mark" + under + " vmap @" + NFTChain(a.Chain, ipv6)
	case LookUpCtmark:
		return "ct mark" + under + " vmap @" + NFTChain(a.Chain, ipv6)
	}
	return ""
}

// nftElement formats an element of a map.
func (r Rule) nftElement(ipv6 bool) string {
	key := r.Ctmark.Mark.String()
	switch {
	case r.In != "":
		key = nftLink(r.In, false)
	case r.MAC != "":
		key = r.MAC
	}
	return key + " : " + r.Action.nft(ipv6)
}
