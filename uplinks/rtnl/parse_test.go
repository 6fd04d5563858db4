package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

func TestDeletingAMissingObjectIsNoError(t *testing.T) {
	for _, err := range []error{nil, unix.ENOENT, unix.ESRCH, unix.ENODEV, fmt.Errorf("del: %w", unix.ESRCH)} {
		if got := ignoreNotFound(err); got != nil {
			t.Errorf("%v becomes %v", err, got)
		}
	}
	for _, err := range []error{unix.EPERM, unix.EBUSY, errors.New("no such process")} {
		if got := ignoreNotFound(err); got != err {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

// ruleBytes returns a rule as the kernel sends it.
func ruleBytes(header nl.RtMsg, attrs ...*nl.RtAttr) []byte {
	m := header.Serialize()
	for _, a := range attrs {
		m = append(m, a.Serialize()...)
	}
	return m
}

func TestRuleMessageIsParsedCompletely(t *testing.T) {
	word := func(attr int, v uint32) *nl.RtAttr { return nl.NewRtAttr(attr, nl.Uint32Attr(v)) }
	header := nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Type: unix.FR_ACT_TO_TBL}}
	protocol := nl.NewRtAttr(nl.FRA_PROTOCOL, nl.Uint8Attr(uplinks.Protocol))
	ours := []*nl.RtAttr{protocol, word(nl.FRA_PRIORITY, 2002), word(nl.FRA_TABLE, 8201), word(nl.FRA_FWMARK, 0x100), word(nl.FRA_FWMASK, 0x1f00),
		word(nl.FRA_SUPPRESS_PREFIXLEN, 0xffffffff)}
	raw, err := parseRule(ruleBytes(header, ours...), uplinks.IPv4)
	base := raw.toRule()
	want := uplinks.Rule{Family: uplinks.IPv4, Priority: 2002, Mark: 0x100, Mask: 0x1f00, Action: uplinks.Lookup, Table: 8201,
		SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	if err != nil || base != want || raw.Protocol != uplinks.Protocol {
		t.Fatalf("got %+v by %d, %v\nwant %+v", base, raw.Protocol, err, want)
	}
	inverted, tos := header, header
	inverted.Flags |= fibRuleInvert
	tos.Tos = 4
	for name, m := range map[string][]byte{
		"a not":             ruleBytes(inverted, ours...),
		"a type of service": ruleBytes(tos, ours...),
		"an oif":            ruleBytes(header, append(slices.Clone(ours), nl.NewRtAttr(nl.FRA_OIFNAME, []byte("eth0\x00")))...),
		"a tunnel":          ruleBytes(header, append(slices.Clone(ours), nl.NewRtAttr(nl.FRA_TUN_ID, []byte{0, 0, 0, 0, 0, 0, 0, 1}))...),
		"an iif":            ruleBytes(header, append(slices.Clone(ours), nl.NewRtAttr(nl.FRA_IIFNAME, []byte("lo\x00")))...),
		"a suppressor":      ruleBytes(header, append(slices.Clone(ours), word(nl.FRA_SUPPRESS_IFGROUP, 0))...),
	} {
		raw, err := parseRule(m, uplinks.IPv4)
		if got := raw.toRule(); err != nil || got == base {
			t.Errorf("a rule with %s reads as one without: %+v, %v", name, raw, err)
		}
	}
}

// A rule that is written, deleted or compared with ours must be the one that the simulation evaluates.
func TestRuleIsTheSameForSimulationAndWriting(t *testing.T) {
	word := func(attr int, v uint32) *nl.RtAttr { return nl.NewRtAttr(attr, nl.Uint32Attr(v)) }
	header := nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Type: unix.FR_ACT_TO_TBL, Tos: 8, Src_len: 24, Dst_len: 32}}
	raw, err := parseRule(ruleBytes(header, word(nl.FRA_PRIORITY, 7), word(nl.FRA_TABLE, 1000), word(nl.FRA_FWMARK, 1), word(nl.FRA_FWMASK, 3),
		nl.NewRtAttr(nl.FRA_SRC, []byte{192, 0, 2, 0}), nl.NewRtAttr(nl.FRA_DST, []byte{203, 0, 113, 9}), nl.NewRtAttr(nl.FRA_IP_PROTO, []byte{17}),
		nl.NewRtAttr(nl.FRA_DPORT_RANGE, append(nl.Uint16Attr(53), nl.Uint16Attr(54)...)), nl.NewRtAttr(nl.FRA_UID_RANGE, append(nl.Uint32Attr(1), nl.Uint32Attr(2)...)),
		nl.NewRtAttr(77, nil)), uplinks.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	want := rpdb.Rule{Family: uplinks.IPv4, Priority: 7, Action: uplinks.Lookup, Table: 1000, Mark: 1, Mask: 3, TOS: 8, TOSMask: tosMask4,
		From: netip.MustParsePrefix("192.0.2.0/24"), To: netip.MustParsePrefix("203.0.113.9/32"), Proto: unix.IPPROTO_UDP,
		Dport: rpdb.PortRange{First: 53, Last: 54}, UIDs: &rpdb.UIDRange{First: 1, Last: 2}, UnknownAttrs: []uint16{77},
		SuppressLength: uplinks.NoSuppress, SuppressGroup: uplinks.NoSuppress}
	if !reflect.DeepEqual(raw.Rule, want) {
		t.Errorf("got  %+v\nwant %+v", raw.Rule, want)
	}
	again, err := parseRule(encodeRule(unix.RTM_NEWRULE, 0, raw.toRule())[unix.SizeofNlMsghdr:], uplinks.IPv4)
	want.Protocol = uplinks.Protocol // encodeRule writes rules of ours
	if err != nil || !reflect.DeepEqual(again.Rule, want) || again.unwritten != raw.unwritten {
		t.Errorf("written and read again: %+v, %v\nwant %+v", again, err, want)
	}
}

func FuzzParseRule(f *testing.F) {
	f.Add(ruleBytes(nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Type: unix.FR_ACT_TO_TBL}}, nl.NewRtAttr(nl.FRA_PRIORITY, nl.Uint32Attr(7)), nl.NewRtAttr(nl.FRA_L3MDEV, []byte{1})))
	f.Fuzz(func(t *testing.T, m []byte) {
		raw, err := parseRule(m, uplinks.IPv4)
		if (err != nil) != (len(m) < unix.SizeofRtMsg) {
			t.Errorf("%d bytes: %v", len(m), err)
		}
		if got := raw.toRule(); got.Priority != raw.Priority || got.Table != raw.Table || got.Action != raw.Action {
			t.Errorf("%+v becomes %+v", raw, got)
		}
	})
}

func TestDefaultRoutesOfMainSortFirst(t *testing.T) {
	hop := func(f uplinks.Family, table uplinks.Table, metric uint32) uplinks.NextHop {
		return uplinks.NextHop{Family: f, Table: table, Metric: metric}
	}
	want := []uplinks.NextHop{
		hop(uplinks.IPv4, uplinks.MainTable, 0), hop(uplinks.IPv4, uplinks.MainTable, 100), hop(uplinks.IPv4, 77, 0),
		hop(uplinks.IPv4, 1000, 5), hop(uplinks.IPv6, uplinks.MainTable, 1024), hop(uplinks.IPv6, 77, 1),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortStableFunc(got, compareDefaults)
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestAddressFlagsAreParsed(t *testing.T) {
	const link = 7
	of := func(text string, flags uint32, local ...string) uplinks.Addr {
		p := netip.MustParsePrefix(text)
		msg := nl.NewIfAddrmsg(addressFamily(uplinks.FamilyOf(p.Addr())))
		msg.Index, msg.Prefixlen = link, uint8(p.Bits())
		m := append(msg.Serialize(), nl.NewRtAttr(unix.IFA_ADDRESS, p.Addr().AsSlice()).Serialize()...)
		for _, l := range local {
			m = append(m, nl.NewRtAttr(unix.IFA_LOCAL, netip.MustParseAddr(l).AsSlice()).Serialize()...)
		}
		m = append(m, nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)).Serialize()...)
		index, a := parseAddress(m)
		if index != link {
			t.Fatal(index)
		}
		return a
	}
	for valid, leased := range map[uint32]bool{3600: true, infiniteLifetime: false} {
		if got := hasLifetime(binary.NativeEndian.AppendUint32(make([]byte, 4), valid)); got != leased {
			t.Errorf("valid for %d s: leased %t", valid, got)
		}
	}
	v6 := netip.MustParsePrefix("2001:db8::2/64")
	for name, c := range map[string]struct{ got, want uplinks.Addr }{
		"plain":              {of("2001:db8::2/64", 0), uplinks.Addr{Prefix: v6}},
		"tentative":          {of("2001:db8::2/64", unix.IFA_F_TENTATIVE), uplinks.Addr{Prefix: v6, Tentative: true}},
		"a duplicate":        {of("2001:db8::2/64", unix.IFA_F_DADFAILED), uplinks.Addr{Prefix: v6, Tentative: true}},
		"optimistic":         {of("2001:db8::2/64", unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC), uplinks.Addr{Prefix: v6}},
		"deprecated":         {of("2001:db8::2/64", unix.IFA_F_DEPRECATED), uplinks.Addr{Prefix: v6, Deprecated: true}},
		"temporary":          {of("2001:db8::2/64", unix.IFA_F_TEMPORARY), uplinks.Addr{Prefix: v6, Temporary: true}},
		"with itself":        {of("192.0.2.2/24", 0, "192.0.2.2"), uplinks.Addr{Prefix: netip.MustParsePrefix("192.0.2.2/24")}},
		"with a peer":        {of("198.51.100.1/32", 0, "192.0.2.2"), uplinks.Addr{Prefix: netip.MustParsePrefix("192.0.2.2/32")}},
		"secondary, in IPv4": {of("192.0.2.2/24", unix.IFA_F_SECONDARY), uplinks.Addr{Prefix: netip.MustParsePrefix("192.0.2.2/24")}},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, c.got, c.want)
		}
	}
}
