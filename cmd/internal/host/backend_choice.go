package host

import (
	"replypath/marks"
	"replypath/marks/iptables"
)

// backendChoice is what decides which backend is used.
type backendChoice struct {
	configured, commandDefault marks.Backend // by the operator, and of the command iptables
	nft, legacy                iptables.Owners
	nftErr, legacyErr          error // why a backend cannot be used
}

// resolve follows what is in use on the host when the operator leaves it open: the backend in which others have rules; if
// that is none or both, the one in which ours are; if that is none or both, what the command iptables works on. It also
// tells whether it was left open, and others have rules in both.
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

// dependsOnOthersInNFT reports whether it matters if others have rules in nftables.
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
