package nftnl

import (
	"fmt"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// Generation returns the number of changes to nftables in this network namespace, by all programs, as netfilter.Generation does.
func (s *Socket) Generation() (generation uint64, err error) {
	err = s.Get(Request{Operation: "read the nftables generation", kind: unix.NFT_MSG_GETGEN}, func(a []byte) {
		generation = uint64(netfilter.FindUint32(a, unix.NFTA_GEN_ID))
	})
	if err == nil && generation == 0 {
		err = fmt.Errorf("read the nftables generation: %w", unix.EBADMSG)
	}
	return generation, err
}
