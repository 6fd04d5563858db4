package marks

// Backend is one of the kernel interfaces behind the iptables commands. The commands of one backend cannot see the
// rules of the other; the kernel applies both.
type Backend string

// The backends. Auto selects the backend that is in use on the host.
const (
	Auto   Backend = "auto"
	NFT    Backend = "nft"
	Legacy Backend = "legacy"
)
