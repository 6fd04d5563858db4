package iptables

import (
	"encoding/binary"
	"fmt"

	"replypath/marks"
	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// Generation tells, without starting a process, whether a table may have changed: as long as it is the same, the table is.
func (t *Table) Generation() (uint64, error) {
	if t.Backend == marks.NFT {
		return t.nftGeneration()
	}
	held, err := t.readLegacy(marks.MangleTable)
	return held.hash(t.ipv6()), err
}

// nftGeneration is the number of changes to nftables in this network namespace, whosever they are.
func (t *Table) nftGeneration() (uint64, error) {
	answer, err := t.requestReply(message(unix.NFT_MSG_GETGEN, 0, unix.AF_UNSPEC))
	if err != nil {
		return 0, fmt.Errorf("ask for the nftables generation: %w", err)
	}
	if id := nlattr.Find(answer, unix.NFTA_GEN_ID); len(id) == 4 {
		return uint64(binary.BigEndian.Uint32(id)), nil
	}
	return 0, fmt.Errorf("ask for the nftables generation: %w", unix.EBADMSG)
}
