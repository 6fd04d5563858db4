package rtnl

import (
	"encoding/binary"

	"replypath/uplinks"

	"github.com/vishvananda/netlink/nl"
)

// addSelectors encodes the selectors of a rule, those of its header too (linux/fib_rules.h).
func (m *message) addSelectors(s uplinks.Selectors) {
	header := m.header()
	header[3] = s.TOS
	if s.To.IsValid() {
		header[1] = uint8(s.To.Bits())
		m.addAddr(nl.FRA_DST, s.To.Addr())
	}
	if s.OIF != "" {
		m.addAttr(nl.FRA_OIFNAME, append([]byte(s.OIF), 0))
	}
	if s.Tunnel != 0 {
		m.addAttr(nl.FRA_TUN_ID, binary.BigEndian.AppendUint64(nil, s.Tunnel))
	}
	if s.L3mdev {
		m.addAttr(nl.FRA_L3MDEV, []byte{1})
	}
	if s.UIDs.Set {
		m.addAttr(nl.FRA_UID_RANGE, nativeEndian.AppendUint32(nativeEndian.AppendUint32(nil, s.UIDs.First), s.UIDs.Last))
	}
	if s.Proto != 0 {
		m.addAttr(nl.FRA_IP_PROTO, []byte{s.Proto})
	}
	m.addPorts(nl.FRA_SPORT_RANGE, s.Sport)
	m.addPorts(nl.FRA_DPORT_RANGE, s.Dport)
}

// addPorts encodes a range of ports, if there is one (struct fib_rule_port_range).
func (m *message) addPorts(attrType uint16, p uplinks.PortRange) {
	if p != (uplinks.PortRange{}) {
		m.addAttr(attrType, nativeEndian.AppendUint16(nativeEndian.AppendUint16(nil, p.First), p.Last))
	}
}
