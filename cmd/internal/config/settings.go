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
func (c *Config) settings(top fileTop) (maskKnown bool) {
	maskKnown = c.mask(top.mask)
	c.Priority = within(top.priority, c.Priority, 1, maxPriority, "the rules take up 2000 priorities before main's 32766")
	c.TableBase = within(top.tableBase, c.TableBase, minTableBase, maxTableBase,
		"tables 253 to 255 are the kernel's, and an uplink's table is this plus its id")
	c.Group = within(top.linkGroup, c.Group, 1, math.MaxInt32, "every other interface is in group 0")
	c.backend(top.backend)
	return maskKnown
}

// mask takes over the mask.
func (c *Config) mask(n *number) (known bool) {
	const remedy = "use one unbroken run of bits, such as 0x1f00 (31 uplinks) or 0xff00 (255 uplinks)"
	switch {
	case n == nil:
		return true
	case n.is == 0:
		n.wrong(remedy, "the mask is empty")
	case n.is < 0 || n.is > math.MaxUint32:
		n.wrong(remedy, "mask %#x does not fit into 32 bits", n.is)
	case !marks.Mask(n.is).Contiguous():
		n.wrong(remedy, "mask %#x has a gap", n.is)
	default:
		c.Mask = marks.Mask(n.is)
		return true
	}
	return false
}

// within is the number as written when it is within the bounds, and otherwise the default.
func within[T ~uint32 | ~int](n *number, otherwise T, low, high int64, why string) T {
	switch {
	case n == nil:
		return otherwise
	case n.is < low || n.is > high:
		n.wrong(fmt.Sprintf("use a number from %d to %d: %s", low, high, why), "%s cannot be %d", n.what(), n.is)
		return otherwise
	}
	return T(n.is)
}

func (c *Config) backend(t *text) {
	switch {
	case t == nil:
	case t.is == string(marks.Auto), t.is == string(marks.NFT), t.is == string(marks.Legacy):
		c.Backend = marks.Backend(t.is)
	default:
		t.wrong(`use "auto", "nft" or "legacy"`, "there is no backend %q", t.is)
	}
}

// inside takes over the links that are no uplinks although they lead to gateways.
func (c *Config) inside(links []text, ups []fileUplink) {
	for i, t := range links {
		if message, remedy := checkLink(t.is); message != "" {
			t.wrong(remedy, "%s", message)
			continue
		}
		t.twice(links[:i])
		for _, u := range ups {
			if u.linkName() == t.is {
				t.wrong("an interface is one or the other: take it out of here, or drop the uplink",
					"%q is the interface of uplink %q (%s)", t.is, u.name, u.where())
			}
		}
		c.Inside = append(c.Inside, t.is)
	}
}
