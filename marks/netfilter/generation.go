package netfilter

import (
	"fmt"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Generation returns the number of changes to nftables in this network namespace, by all programs (NFT_MSG_GETGEN).
func Generation() (uint64, error) {
	reply, err := requestReply(request(unix.NFT_MSG_GETGEN, 0, unix.AF_UNSPEC))
	if err != nil {
		return 0, fmt.Errorf("read the nftables generation: %w", err)
	}
	if len(nlattr.Find(reply, unix.NFTA_GEN_ID)) != 4 {
		return 0, fmt.Errorf("read the nftables generation: %w", unix.EBADMSG)
	}
	return uint64(FindUint32(reply, unix.NFTA_GEN_ID)), nil
}
