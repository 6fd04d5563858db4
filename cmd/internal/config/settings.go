package config

import (
	"fmt"
	"math"

	"replypath/marks"
	"replypath/uplinks"
)

const (
	// The block of priorities must lie before main's rule, and after local's at 0.
	mainPriority = 32766
	maxPriority  = mainPriority - uplinks.BlockSize
	// Tables 253 to 255 are default, main and local; the numbers are signed in parts of the kernel.
	minTableBase = 256
	maxTableBase = math.MaxInt32 - marks.MaxID
)

// settings takes over what is written at the top of the main file. The mask is not known when it is a mistake.
func (c *Config) settings(top fileMain) (maskKnown bool) {
	maskKnown = c.mask(top.mask)
	c.Priority = inBounds(top.priority, c.Priority, 1, maxPriority, "the rules take up 2000 priorities before main's 32766")
	c.TableBase = inBounds(top.tableBase, c.TableBase, minTableBase, maxTableBase,
		"tables 253 to 255 are the kernel's, and an uplink's table is this plus its id")
	c.Group = inBounds(top.linkGroup, c.Group, 1, math.MaxInt32, "every other interface is in group 0")
	c.backend(top.backend)
	return maskKnown
}

// mask takes over the mask.
func (c *Config) mask(n *intValue) (known bool) {
	const remedy = "use one unbroken run of bits, such as 0x1f00 (31 uplinks) or 0xff00 (255 uplinks)"
	switch {
	case n == nil:
		return true
	case n.val == 0:
		n.addMistake(remedy, "the mask is empty")
	case n.val < 0 || n.val > math.MaxUint32:
		n.addMistake(remedy, "mask %#x does not fit into 32 bits", n.val)
	case !marks.Mask(n.val).Contiguous():
		n.addMistake(remedy, "mask %#x has a gap", n.val)
	default:
		c.Mask = marks.Mask(n.val)
		return true
	}
	return false
}

// inBounds is the number as written when it is within the bounds, and otherwise the default.
func inBounds[T ~uint32 | ~int](n *intValue, fallback T, low, high int64, why string) T {
	switch {
	case n == nil:
		return fallback
	case n.val < low || n.val > high:
		n.addMistake(fmt.Sprintf("use a number from %d to %d: %s", low, high, why), "%s cannot be %d", n.describe(), n.val)
		return fallback
	}
	return T(n.val)
}

func (c *Config) backend(t *stringValue) {
	switch {
	case t == nil:
	case t.val == string(marks.Auto), t.val == string(marks.NFT), t.val == string(marks.Legacy):
		c.Backend = marks.Backend(t.val)
	default:
		t.addMistake(`use "auto", "nft" or "legacy"`, "there is no backend %q", t.val)
	}
}

// inside takes over the links that are no uplinks although they lead to gateways.
func (c *Config) inside(links []stringValue, ups []fileUplink) {
	for i, t := range links {
		if message, remedy := checkInterface(t.val); message != "" {
			t.addMistake(remedy, "%s", message)
			continue
		}
		t.reportDuplicate(links[:i])
		for _, u := range ups {
			if u.interfaceName() == t.val {
				t.addMistake("an interface is one or the other: take it out of here, or drop the uplink",
					"%q is the interface of uplink %q (%s)", t.val, u.name, u.location())
			}
		}
		c.Inside = append(c.Inside, t.val)
	}
}
