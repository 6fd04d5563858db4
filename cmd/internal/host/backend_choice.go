package host

import (
	"replypath/marks"
)

// backendChoice has the inputs of the choice of a backend.
type backendChoice struct {
	configured, commandDefault marks.Backend // in the configuration; of the command iptables, none without one
	nft, legacy                marks.Owners
	native                     bool  // nftables holds the rules of replypath
	nftErr, legacyErr          error // why a backend of iptables cannot be used
}

// resolve returns the configured backend. For marks.Auto it returns the one that holds the rules of replypath, else the
// only backend of iptables that is usable, else the only one with rules of other programs, else that of the command
// iptables, else nftables; both reports that other programs then have rules in both backends of iptables.
func (c backendChoice) resolve() (b marks.Backend, both bool) {
	both = c.configured == marks.Auto && c.commandDefault != "" && c.nft.Others && c.legacy.Others
	switch {
	case c.configured != marks.Auto:
		return c.configured, false
	case c.native:
		return marks.Nftables, both
	case c.commandDefault == "":
		return marks.Nftables, both
	case c.nft.Ours != c.legacy.Ours:
		return nftOrLegacy(c.nft.Ours), both
	case (c.nftErr == nil) != (c.legacyErr == nil):
		return nftOrLegacy(c.nftErr == nil), both
	case c.nft.Others != c.legacy.Others:
		return nftOrLegacy(c.nft.Others), both
	}
	return c.commandDefault, both
}

// dependsOnOthersInNFT reports whether the choice depends on rules of other programs in the tables of iptables on nftables.
func (c backendChoice) dependsOnOthersInNFT() bool {
	with, without := c, c
	with.nft.Others, without.nft.Others = true, false
	first, firstBoth := with.resolve()
	second, secondBoth := without.resolve()
	return first != second || firstBoth != secondBoth
}

func nftOrLegacy(nft bool) marks.Backend {
	if nft {
		return marks.NFT
	}
	return marks.Legacy
}
