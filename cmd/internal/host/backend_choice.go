package host

import (
	"replypath/marks"
)

// backendChoice has the inputs of the choice of a backend.
type backendChoice struct {
	configured, commandDefault marks.Backend // in the configuration; of the command iptables
	nft, legacy                marks.Owners
	nftErr, legacyErr          error // why a backend cannot be used
}

// resolve returns the configured backend. For marks.Auto it returns the only backend that is usable, else the only one
// with rules of other programs, else the only one with rules of replypath, else that of the command iptables; both
// reports that other programs then have rules in both.
func (c backendChoice) resolve() (b marks.Backend, both bool) {
	both = c.configured == marks.Auto && c.nft.Others && c.legacy.Others
	switch {
	case c.configured != marks.Auto:
		return c.configured, false
	case (c.nftErr == nil) != (c.legacyErr == nil):
		return nftOrLegacy(c.nftErr == nil), both
	case c.nft.Others != c.legacy.Others:
		return nftOrLegacy(c.nft.Others), both
	case c.nft.Ours != c.legacy.Ours:
		return nftOrLegacy(c.nft.Ours), both
	}
	return c.commandDefault, both
}

// dependsOnOthersInNFT reports whether the choice depends on rules of other programs in nftables.
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
