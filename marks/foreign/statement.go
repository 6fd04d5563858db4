package foreign

import (
	"encoding/binary"
	"fmt"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// sharing are the expressions that match a share of the packets, whatever their addresses.
var sharing = map[string]bool{"limit": true, "quota": true, "connlimit": true}

// decodeStatement decodes an expression that is neither a comparison nor the load of a register.
func (d *ruleDecoder) decodeStatement(name string, data []byte) {
	switch name {
	case "fwd":
		d.decodeForward(data)
	case "reject":
		d.rule.Drops = true
		d.add("reject")
	case "nat":
		kind := [...]string{"snat", "dnat"}[netfilter.FindUint32(data, unix.NFTA_NAT_TYPE)&1]
		target := d.take(data, unix.NFTA_NAT_REG_ADDR_MIN)
		port := d.take(data, unix.NFTA_NAT_REG_PROTO_MIN)
		d.add("%s to %s", kind, natText(target.data, port.data))
	case "masq":
		d.add("masquerade")
	case "redir":
		d.add("redirect")
	case "match", "target":
		x := nftExtensionName(data)
		d.rule.ByAddress, d.rule.LinksOnly = true, false
		d.rule.Drops = d.rule.Drops || x == "DROP" || x == "REJECT"
		if name == "target" && (x == "TTL" || x == "HL") {
			d.rule.Rewrites = append(d.rule.Rewrites, x)
		}
		d.add("xt %s %q", name, x)
	case "limit", "quota", "connlimit", "fib", "rt", "exthdr", "socket", "osf", "hash", "numgen", "xfrm", "tunnel":
		d.rule.LinksOnly = false
		d.rule.ByAddress = d.rule.ByAddress || !sharing[name]
		d.add("%s", name)
	case "flow_offload":
		d.add("flow add")
	default:
		d.add("%s", name)
	}
}

// nftExtensionName returns the name of the xtables extension in an expression "match" or "target".
func nftExtensionName(data []byte) string { return netfilter.FindString(data, unix.NFTA_MATCH_NAME) }

func (d *ruleDecoder) decodeForward(data []byte) {
	d.rule.Forwards = true
	device := d.take(data, unix.NFTA_FWD_SREG_DEV)
	if len(device.data) != 4 {
		d.add("fwd to a link from a map")
		return
	}
	d.rule.Link = int(binary.NativeEndian.Uint32(device.data))
	d.add("fwd to %q", d.linkName(d.rule.Link))
}

// natText returns the address and port that NAT translates to.
func natText(address, port []byte) string {
	text := "an address from a map"
	if address != nil {
		text = loaded{field: fieldType{name: map[bool]string{true: "ip6", false: "ip"}[len(address) == 16], kind: kindAddress}}.text(address, nil)
	}
	if len(port) >= 2 {
		text += fmt.Sprintf(":%d", binary.BigEndian.Uint16(port))
	}
	return text
}
