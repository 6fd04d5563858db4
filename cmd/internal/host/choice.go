package host

import (
	"replypath/marks"
	"replypath/marks/xtables"
)

// choice is what decides which backend is used.
type choice struct {
	want, usual     marks.Backend // by the operator, and of the command iptables
	nft, legacy     xtables.Use
	noNFT, noLegacy error // why a backend cannot be used
}

// made follows what is in use on the host when the operator leaves it open: the backend in which others have rules; if
// that is none or both, the one in which ours are; if that is none or both, what the command iptables works on. It also
// tells whether it was left open, and others have rules in both.
func (c choice) made() (b marks.Backend, both bool) {
	both = c.want == marks.Auto && c.nft.Others && c.legacy.Others
	switch {
	case c.want != marks.Auto:
		return c.want, false
	case (c.noNFT == nil) != (c.noLegacy == nil):
		return either(c.noNFT == nil), both
	case c.nft.Others != c.legacy.Others:
		return either(c.nft.Others), both
	case c.nft.Ours != c.legacy.Ours:
		return either(c.nft.Ours), both
	}
	return c.usual, both
}

// hinges reports whether it matters if others have rules in nftables.
func (c choice) hinges() bool {
	with, without := c, c
	with.nft.Others, without.nft.Others = true, false
	first, firstBoth := with.made()
	second, secondBoth := without.made()
	return first != second || firstBoth != secondBoth
}

func either(nft bool) marks.Backend {
	if nft {
		return marks.NFT
	}
	return marks.Legacy
}
