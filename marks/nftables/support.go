package nftables

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/nftnl"

	"golang.org/x/sys/unix"
)

// HasMACBits returns false: a map has all hardware addresses.
func (f *Firewall) HasMACBits(context.Context) (bool, error) { return false, nil }

// HasIPsec reports whether the kernel has IPsec policies (CONFIG_XFRM). Without them no packet is transformed. It asks once: each time
// the kernel registers a chain, and takes it back.
func (f *Firewall) HasIPsec(context.Context) (bool, error) {
	if f.ipsec == nil {
		has, err := f.ask(ipsec)
		if err != nil {
			return true, nil // to be expected, until the kernel can be asked
		}
		f.ipsec = &has
	}
	return *f.ipsec, nil
}

// CheckSupport returns a marks.ErrUnsupported that names what the kernel lacks for the rules. It has the kernel check a
// table of another name in a transaction that fails in any case.
func (f *Firewall) CheckSupport(context.Context) error {
	socket, err := nftnl.Open()
	if err != nil {
		return classify(err)
	}
	defer socket.Close()
	requests, err := f.probes()
	if err != nil {
		return err
	}
	refused, err := socket.Try(requests)
	if err != nil {
		return classify(err)
	}
	var missing []string
	for _, r := range refused {
		if errors.Is(r, unix.EPERM) {
			return classify(r)
		}
		missing = append(missing, r.Error())
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("nftables: %w: %s: load the modules nf_tables and nft_ct with modprobe, or install the kernel's extra modules",
		marks.ErrUnsupported, strings.Join(slices.Compact(missing), ", "))
}

// probes returns the requests for one object of each kind that the backend uses.
func (f *Firewall) probes() ([]nftnl.Request, error) {
	const probe = nftnl.Table(marks.NFTTable + "-probe")
	all := []nftnl.Request{probe.Create(0)}
	for _, b := range marks.NFTBases {
		if b.Table == marks.MasqTable {
			continue
		}
		all = append(all, probe.CreateBaseChain(b.Name(), b.Type, hooks[b.Builtin], b.Priority))
	}
	in := nftnl.Set{Name: "links", ID: 1, KeyType: nftnl.TypeIfname, KeyLength: unix.IFNAMSIZ, Verdicts: true}
	all = append(all, probe.CreateChain("chain"), probe.CreateSet(in), probe.AddElements(in, nftnl.ToChain(nftnl.NameKey("lo"), "chain")), probe.CreateCounter("counter"))
	network := netip.MustParsePrefix("192.0.2.0/28")
	if f.ipv6 {
		network = netip.MustParsePrefix("2001:db8::/60")
	}
	unmarked := marks.MarkMatch{Mask: marks.DefaultMask}
	for _, r := range []marks.Rule{
		{SrcGroup: 1, Dir: "ORIGINAL", NotAssured: true, Action: marks.Action{Kind: marks.Return}},
		{Fwmark: unmarked, Ctmark: unmarked, ReplyTo: network, Action: marks.Action{Kind: marks.SetMarks, Mark: 0x100, Mask: marks.DefaultMask}},
		{In: "lo", Out: "lo", Action: marks.Action{Kind: marks.CopyCtmark, Mask: marks.DefaultMask}},
	} {
		expressions, err := encodeRule(r, "", f.ipv6)
		if err != nil {
			return nil, err
		}
		all = append(all, probe.AddRule("chain", expressions...))
	}
	return append(all, probe.AddRule("chain", nftnl.CountIn("counter")), probe.AddRule("chain", nftnl.Meta(unix.NFT_META_IIFNAME, 0), nftnl.VerdictMap("links", 0))), nil
}
