package marks

// Backend is one of the two kernel interfaces behind the iptables commands. Rules in one are invisible to the
// commands of the other, and both act on packets.
type Backend string

// The backends, and Auto: follow what is in use on the host.
const (
	Auto   Backend = "auto"
	NFT    Backend = "nft"
	Legacy Backend = "legacy"
)
