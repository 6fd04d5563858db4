package config

import (
	"fmt"
	"math"

	"replypath/marks"
	"replypath/uplinks"
)

const (
	// The block of priorities lies after the rule of table local (0) and before that of main.
	maxPriority = uplinks.MainPriority - uplinks.BlockSize
	// The kernel's tables default, main and local come before the uplinks' tables.
	minTableBase = uplinks.LocalTable + 1
	maxTableBase = uplinks.MaxTable - marks.MaxID
)

// settings sets the keys at the top of the main file. It returns false if the mask is a mistake.
func (c *Config) settings(top fileMain) (maskKnown bool) {
	maskKnown = c.mask(top.mask)
	c.Priority = inBounds(top.priority, c.Priority, 1, maxPriority, "2000 priorities from it on are used, before that of table main, 32766")
	c.TableBase = inBounds(top.tableBase, c.TableBase, minTableBase, maxTableBase,
		"an uplink's table is table_base plus its id, and tables 253 to 255 are the kernel's")
	c.Group = inBounds(top.linkGroup, c.Group, 1, math.MaxInt32, "group 0 is the default of all interfaces")
	c.backend(top.backend)
	c.protect(top.protect, top.outbound)
	return maskKnown
}

// mask sets the mask. It returns false if the mask is a mistake.
func (c *Config) mask(n *intValue) (known bool) {
	const remedy = "use one contiguous run of bits, such as 0x1f00 (31 uplinks) or 0xff00 (255 uplinks)"
	switch {
	case n == nil:
		return true
	case n.val == 0:
		n.addMistake(remedy, "the mask is empty")
	case n.val < 0 || n.val > math.MaxUint32:
		n.addMistake(remedy, "mask %#x does not fit into 32 bits", n.val)
	case !marks.Mask(n.val).Contiguous():
		n.addMistake(remedy, "mask %#x is not contiguous", n.val)
	default:
		c.Mask = marks.Mask(n.val)
		return true
	}
	return false
}

// inBounds returns the number if it is set and within the bounds, and otherwise the fallback.
func inBounds[T ~uint32 | ~int](n *intValue, fallback, low, high T, why string) T {
	switch {
	case n == nil:
		return fallback
	case n.val < int64(low) || n.val > int64(high):
		n.addMistake(fmt.Sprintf("use a number from %d to %d: %s", low, high, why), "%s cannot be %d", n.describe(), n.val)
		return fallback
	}
	return T(n.val)
}

func (c *Config) backend(t *stringValue) {
	switch {
	case t == nil:
	case t.val == string(marks.Auto), t.val == string(marks.NFT), t.val == string(marks.Legacy), t.val == string(marks.Nftables):
		c.Backend = marks.Backend(t.val)
	default:
		t.addMistake(`use "auto", "nft", "legacy" or "nftables"`, "unknown backend %q", t.val)
	}
}

// protect sets whether the service owns its tables of nftables. With the backends of iptables there is only that of address translation.
func (c *Config) protect(t *boolValue, out *fileOutbound) {
	translates := out != nil && out.masquerade != nil && out.masquerade.val != string(uplinks.MasqueradeOff)
	switch {
	case t == nil:
	case t.val && !translates && (c.Backend == marks.NFT || c.Backend == marks.Legacy):
		t.addMistake(`set backend = "nftables", or remove this key`, "backend %q cannot be protected", c.Backend)
	default:
		c.Protect = t.val
	}
}

// inside sets the interfaces that lead to a router and are not uplinks.
func (c *Config) inside(links []stringValue, ups []fileUplink) {
	for i, t := range links {
		if message, remedy := checkInterface(t.val); message != "" {
			t.addMistake(remedy, "%s", message)
			continue
		}
		t.reportDuplicate(links[:i])
		for _, u := range ups {
			if uplinks.MatchesLink(u.interfaceName(), t.val) {
				t.addMistake("remove it from inside, or remove the uplink",
					"%s lists %q, the interface of uplink %q (%s)", t.key, t.val, u.name, u.location())
			}
		}
		c.Inside = append(c.Inside, t.val)
	}
}
