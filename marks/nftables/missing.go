package nftables

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// feature is an expression that only a purpose other than replies needs, with a rule that has it.
type feature struct {
	name string
	rule marks.Rule
	nat  bool // the rule is for a chain of address translation
}

// ipsec is not among features: rules are left out that need it.
var ipsec = feature{name: "rt ipsec", rule: marks.Rule{IPsec: true, Action: marks.Action{Kind: marks.Return}}, nat: true}

func (f *Firewall) features() []feature {
	anyAddr := netip.IPv4Unspecified()
	if f.ipv6 {
		anyAddr = netip.IPv6Unspecified()
	}
	proxy := marks.Action{Kind: marks.TProxy, Mark: 1, Mask: 1, Proxy: netip.AddrPortFrom(anyAddr, 1)}
	return []feature{
		{name: "fib (module nft_fib_inet)", rule: marks.Rule{Packet: marks.PacketMatch{DstType: marks.AddrType{Type: "LOCAL"}}, Action: marks.Action{Kind: marks.Return}}},
		{name: "tproxy (module nft_tproxy, Linux 4.19)", rule: marks.Rule{Packet: marks.PacketMatch{Proto: "tcp"}, Action: proxy}},
		{name: "jhash (module nft_hash)", rule: marks.Rule{Cluster: marks.Cluster{Total: 2}, Action: marks.Action{Kind: marks.Return}}},
		{name: "masquerade (module nft_masq, Linux 5.2)", rule: marks.Rule{Action: marks.Action{Kind: marks.Masquerade}}, nat: true},
	}
}

// nameMissing adds to the error of a change what the kernel lacks for purposes other than replies, if anything.
func (f *Firewall) nameMissing(err error) error {
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EPROTONOSUPPORT) {
		return err
	}
	missing := f.Missing()
	if len(missing) == 0 {
		return err
	}
	return fmt.Errorf("nftables: %w: %s (%w): load the modules with modprobe, or install the kernel's extra modules", marks.ErrUnsupported, strings.Join(missing, ", "), err)
}

// Missing names what the kernel lacks for purposes other than replies.
func (f *Firewall) Missing() (missing []string) {
	for _, feature := range f.features() {
		if !f.has(feature) {
			missing = append(missing, feature.name)
		}
	}
	return missing
}

// has reports whether the kernel takes the feature's rule, as it is to be expected where it cannot be asked.
func (f *Firewall) has(feature feature) bool {
	has, err := f.ask(feature)
	return has || err != nil
}

// ask finds out whether the kernel takes the feature's rule, in a table of another name that it does not make.
func (f *Firewall) ask(feature feature) (has bool, err error) {
	socket, err := nftnl.Open()
	if err != nil {
		return false, err
	}
	defer socket.Close()
	const probe = nftnl.Table(marks.NFTTable + "-probe")
	expressions, err := encodeRule(feature.rule, "", f.ipv6)
	if err != nil {
		return false, err
	}
	chain := probe.CreateChain("chain")
	if feature.nat {
		chain = probe.CreateBaseChain("chain", "nat", unix.NF_INET_POST_ROUTING, 0)
	}
	refused, err := socket.Try([]nftnl.Request{probe.Create(0), chain, probe.AddRule("chain", expressions...)})
	return err == nil && len(refused) == 0, err
}
