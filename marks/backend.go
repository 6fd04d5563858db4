package marks

// Backend is a way to load rules into the kernel: one of the two kernel interfaces behind the iptables commands, or
// nftables without iptables. What is loaded by one cannot be seen by the others; the kernel applies all.
type Backend string

// The backends. Auto selects the backend that is in use on the host.
const (
	Auto     Backend = "auto"
	NFT      Backend = "nft"      // iptables on nftables
	Legacy   Backend = "legacy"   // iptables on its own tables
	Nftables Backend = "nftables" // a table of replypath's own, see NFTTable
)
