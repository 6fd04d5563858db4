package rpdb

import (
	"slices"

	"replypath/uplinks"
)

// UnknownOwner is the owner of a rule that no known program adds.
const UnknownOwner = "unknown"

// Owner returns the program that added the rule: by its protocol where a program has its own, else by the numbers that
// well-known programs use.
func (d *Database) Owner(r *Rule, n Names) string {
	switch {
	case r.Protocol == uplinks.Protocol:
		return "replypath"
	case r.Protocol == kernel && (r.Priority == 0 || r.Priority >= uplinks.MainPriority || r.L3mdev):
		return "kernel"
	}
	for _, p := range ownerPatterns {
		if p.matches(d, r) {
			return p.owner
		}
	}
	if r.Protocol == static && n.Static != "" {
		return n.Static
	}
	if name, ok := n.Protocols[r.Protocol]; ok && r.Protocol > static {
		return name
	}
	return UnknownOwner
}

// ownerPatterns has the numbers that programs use according to their sources and manuals.
var ownerPatterns = []struct {
	owner   string
	matches func(*Database, *Rule) bool
}{
	{"Tailscale", func(_ *Database, r *Rule) bool {
		return r.Priority >= 5210 && r.Priority <= 5270 && (r.Mask == 0xff0000 || r.Table == 52)
	}},
	{"wg-quick", func(d *Database, r *Rule) bool {
		return r.isWGQuickTunnelRule() || r.isWGQuickMainRule() && slices.ContainsFunc(d.Rules, func(o Rule) bool { return o.isWGQuickTunnelRule() })
	}},
	{"mwan3", func(_ *Database, r *Rule) bool {
		byLink := r.In != "" && r.Priority > 1000 && r.Priority < 1256 && r.Table == uplinks.Table(r.Priority-1000)
		return byLink || r.Mask == 0x3f00 && r.Priority > 2000 && r.Priority < 3256
	}},
	{"Cilium", func(_ *Database, r *Rule) bool {
		return r.Table == 2004 || r.Table == 2005 || r.Protocol == kernel && r.Priority == 100 && r.Table == uplinks.LocalTable
	}},
	{"AWS VPC CNI", func(_ *Database, r *Rule) bool {
		return r.Priority == 1024 && r.Mark == 0x80 && r.Mask == 0x80
	}},
	{"strongSwan", func(_ *Database, r *Rule) bool {
		return r.Priority == 220 && r.Table == 220
	}},
	{"OpenWrt's pbr", func(_ *Database, r *Rule) bool {
		return r.Priority > 29000 && r.Priority <= 30000 && r.Mask == 0xff0000
	}},
	{"Calico", func(_ *Database, r *Rule) bool {
		return r.Priority == 99 && r.Not && r.Mark == 0x100000 && r.Mask == 0x100000
	}},
}

// isWGQuickTunnelRule reports whether it is the rule that wg-quick(8) adds for all traffic except the packets of the tunnel.
func (r *Rule) isWGQuickTunnelRule() bool {
	return r.Not && r.Mask == 0xffffffff && r.Action == uplinks.Lookup && r.Mark == uint32(r.Table)
}

// isWGQuickMainRule reports whether it is the rule by which wg-quick(8) keeps the specific routes of main in force. It is
// added by ip(8) without a protocol.
func (r *Rule) isWGQuickMainRule() bool {
	return (r.Protocol == boot || r.Protocol == unspec) && r.Action == uplinks.Lookup && r.Table == uplinks.MainTable && r.SuppressLength == 0
}
