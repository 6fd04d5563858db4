package rtnl

import (
	"encoding/binary"
	"maps"
	"slices"

	"replypath/marks/nlattr"
	"replypath/uplinks/egress"

	"golang.org/x/sys/unix"
)

// Attributes of messages about traffic control (linux/rtnetlink.h, linux/pkt_cls.h, linux/pkt_sched.h).
const (
	tcaKind, tcaOptions, tcaChain = 1, 2, 11
	tcaActKind, tcaActOptions     = 1, 2

	tcaGactProbability, tcaPoliceResult               = 3, 5
	tcaU32Link, tcaU32Selector, tcaU32Dev, tcaU32Mark = 3, 5, 8, 10
	tcaFWDev, tcaFWMask                               = 3, 5
	tcaBPFName, tcaBPFFlags                           = 7, 8

	tcaFlowerClass, tcaFlowerAct, tcaFlowerEtherType = 1, 3, 8
	tcaFlowerProto, tcaFlowerFrom4, tcaFlowerFrom6   = 9, 10, 14
	tcaFlowerSport, tcaFlowerSportMask               = 18, 35 // of TCP; those of the destination and of UDP follow
	tcaFlowerFlags, tcaFlowerHardware                = 22, 86
	tcaFlowerTOS, tcaFlowerTOSMask                   = 73, 74
	tcaFlowerSportFirst                              = 87 // the last one, and those of the destination, follow
)

// parseQdisc decodes a message about a qdisc.
func parseQdisc(m []byte) (q egress.Qdisc, ok bool) {
	if len(m) < sizeofTrafficControl {
		return q, false
	}
	attrs := m[sizeofTrafficControl:]
	q = egress.Qdisc{Link: int(nativeEndian.Uint32(m[4:])), Handle: nativeEndian.Uint32(m[8:]), Parent: nativeEndian.Uint32(m[12:]),
		Kind: unix.ByteSliceToString(nlattr.Find(attrs, tcaKind))}
	parseQdiscOptions(&q, nlattr.Find(attrs, tcaOptions))
	return q, true
}

// parseFilter decodes a message about a filter. Messages that only announce a chain or a hash table are none.
func parseFilter(m []byte, parent uint32) (f egress.Filter, ok bool) {
	if len(m) < sizeofTrafficControl {
		return f, false
	}
	attrs, info := m[sizeofTrafficControl:], nativeEndian.Uint32(m[16:])
	f = egress.Filter{Link: int(nativeEndian.Uint32(m[4:])), Handle: nativeEndian.Uint32(m[8:]), Parent: parent, Priority: uint16(info >> 16),
		Protocol: networkOrder(uint16(info)), Kind: unix.ByteSliceToString(nlattr.Find(attrs, tcaKind)), Chain: nlattr.Find(attrs, tcaChain).Uint32()}
	options := nlattr.Find(attrs, tcaOptions)
	if options == nil {
		return f, false
	}
	f.Actions = parseActions(nlattr.Find(options, actionsAttr[f.Kind]))
	switch f.Kind {
	case "u32":
		ok = parseU32(&f, options)
		return f, ok
	case "flower":
		parseFlower(&f, options)
	case "fw":
		f.Match.Mark = &egress.MaskedNumber{Value: f.Handle, Mask: 0xffffffff}
		if mask := nlattr.Find(options, tcaFWMask); mask != nil {
			f.Match.Mark.Mask = mask.Uint32()
		}
		f.Unresolved = nlattr.Find(options, tcaFWDev) != nil
	case "bpf":
		f.Program = unix.ByteSliceToString(nlattr.Find(options, tcaBPFName))
		f.Direct = nlattr.Find(options, tcaBPFFlags).Uint32()&1 != 0 // TCA_BPF_FLAG_ACT_DIRECT
	}
	_, known := actionsAttr[f.Kind]
	f.Unresolved = f.Unresolved || !known
	return f, true
}

// networkOrder returns a number that a message has in network order and that was read in native order.
func networkOrder(n uint16) uint16 {
	return binary.BigEndian.Uint16(nativeEndian.AppendUint16(nil, n))
}

// actionsAttr has the attribute with the actions of each kind of filter (TCA_*_ACT).
var actionsAttr = map[string]uint16{"u32": 7, "flower": tcaFlowerAct, "matchall": 2, "fw": 4, "bpf": 1, "basic": 3, "cgroup": 1, "route": 6, "flow": 9}

// parseU32 decodes a filter of kind u32 (struct tc_u32_sel), and reports whether it is one: hash tables are none.
func parseU32(f *egress.Filter, options nlattr.Value) bool {
	const headerSize, keySize = 16, 16
	selector := nlattr.Find(options, tcaU32Selector)
	if len(selector) < headerSize {
		return false
	}
	for keys := selector[headerSize:]; len(keys) >= keySize; keys = keys[keySize:] {
		f.Match.Words = append(f.Match.Words, egress.WordMatch{Mask: binary.BigEndian.Uint32(keys), Value: binary.BigEndian.Uint32(keys[4:]), Offset: int(int32(nativeEndian.Uint32(keys[8:])))})
	}
	f.Next = nlattr.Find(options, tcaU32Link).Uint32()
	f.Unresolved = f.Next != 0 || nlattr.Find(options, tcaU32Mark) != nil || nlattr.Find(options, tcaU32Dev) != nil
	return true
}

// rootTable is the first number that the kernel gives to hash tables of u32 itself: each priority has a root, where the search
// begins.
const rootTable = 0x800

// resolveTables marks filters of u32 as unresolved that are in a hash table to which another filter leads: those are no roots.
func resolveTables(all []egress.Filter) {
	for i, f := range all {
		table := f.Handle >> 20
		if f.Kind == "u32" && (table < rootTable || slices.ContainsFunc(all, func(o egress.Filter) bool { return o.Next != 0 && o.Next>>20 == table })) {
			all[i].Unresolved = true
		}
	}
}

// parseFlower decodes a filter of kind flower.
func parseFlower(f *egress.Filter, options nlattr.Value) {
	values := maps.Collect(nlattr.All(options))
	take := func(kind uint16) nlattr.Value {
		v := values[kind]
		delete(values, kind)
		return v
	}
	for _, kind := range []uint16{tcaFlowerClass, tcaFlowerAct, tcaFlowerEtherType, tcaFlowerFlags, tcaFlowerHardware} {
		delete(values, kind) // they select no packets, or only by the protocol that the filter has anyway
	}
	address := func(first uint16) egress.PrefixMatch {
		return egress.PrefixMatch{Addr: take(first).Addr(), Mask: take(first + 1).Addr()}
	}
	f.Match.Proto = take(tcaFlowerProto).Uint8()
	f.Match.TOS = egress.MaskedByte{Value: take(tcaFlowerTOS).Uint8(), Mask: take(tcaFlowerTOSMask).Uint8()}
	f.Match.From, f.Match.To = address(tcaFlowerFrom4), address(tcaFlowerFrom4+2)
	if from, to := address(tcaFlowerFrom6), address(tcaFlowerFrom6+2); from.Addr.IsValid() || to.Addr.IsValid() {
		f.Match.From, f.Match.To = from, to
	}
	for i, port := range []*egress.PortMatch{&f.Match.Sport, &f.Match.Dport} {
		at := uint16(i)
		for _, transport := range []uint16{0, 2} { // TCP, UDP
			if v := take(tcaFlowerSport + transport + at); v != nil {
				port.Value, port.Mask = uint16(v.BigEndian()), 0xffff
			}
			if v := take(tcaFlowerSportMask + transport + at); v != nil {
				port.Mask = uint16(v.BigEndian())
			}
		}
		port.First, port.Last = uint16(take(tcaFlowerSportFirst+2*at).BigEndian()), uint16(take(tcaFlowerSportFirst+2*at+1).BigEndian())
	}
	f.Unresolved = len(values) > 0
}

// parseActions decodes a list of actions, in order.
func parseActions(list nlattr.Value) (all []egress.Action) {
	for _, attrs := range nlattr.All(list) {
		a := egress.Action{Kind: unix.ByteSliceToString(nlattr.Find(attrs, tcaActKind)), Control: egress.Pipe}
		options := nlattr.Find(attrs, tcaActOptions)
		// Each kind has its struct tc_gen in one of these: index, capab, action, refcnt and bindcnt.
		const sizeofGeneric, controlAt = 20, 8
		parameters := nlattr.Find(options, 2)
		if len(parameters) < sizeofGeneric {
			parameters = nlattr.Find(options, 1)
		}
		if len(parameters) >= sizeofGeneric {
			a.Control = egress.Control(int32(nativeEndian.Uint32(parameters[controlAt:])))
		}
		switch {
		case a.Kind == "police":
			a.Control = egress.Control(int32(nlattr.Find(options, tcaPoliceResult).Uint32()))
		case a.Kind == "gact":
			a.Chance = nlattr.Find(options, tcaGactProbability) != nil
		case a.Kind == "mirred" && len(parameters) >= sizeofGeneric+8:
			what := nativeEndian.Uint32(parameters[sizeofGeneric:]) // TCA_EGRESS_REDIR, _MIRROR, TCA_INGRESS_REDIR, _MIRROR
			a.Mirror, a.Ingress, a.Link = what == 2 || what == 4, what >= 3, int(nativeEndian.Uint32(parameters[sizeofGeneric+4:]))
		}
		all = append(all, a)
	}
	return all
}
