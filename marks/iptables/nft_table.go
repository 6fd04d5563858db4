package iptables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// The iptables commands on nftables make the kernel's table and base chains when they first need them, and have no
// word for taking them away again. So this speaks to the kernel itself (linux/netfilter/nf_tables.h, nfnetlink.h).

// Exists reports whether the kernel has the table now. The legacy backend's tables come and go with the kernel's modules.
func (t *Table) Exists() (bool, error) {
	if t.Backend != marks.NFT {
		return true, nil
	}
	err := t.request(message(unix.NFT_MSG_GETTABLE, unix.NLM_F_ACK, t.family(), nfnetlink.StringAttribute(unix.NFTA_TABLE_NAME, marks.MangleTable)))
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the nftables table %s: %w", marks.MangleTable, err)
	}
	return true, nil
}

// DeleteEmpty deletes the base chains that our jumps were in, and the table, as far as nothing is in them: the kernel
// refuses the rest (NLM_F_NONREC), and then it stays.
func (t *Table) DeleteEmpty() error {
	for _, h := range marks.Hooks {
		del := message(unix.NFT_MSG_DELCHAIN, unix.NLM_F_ACK|unix.NLM_F_NONREC, t.family(),
			nfnetlink.StringAttribute(unix.NFTA_CHAIN_TABLE, marks.MangleTable), nfnetlink.StringAttribute(unix.NFTA_CHAIN_NAME, h.Builtin))
		if err := t.request(batch(del)); err != nil && !isInUseOrGone(err) {
			return fmt.Errorf("delete the empty base chain %s: %w", h.Builtin, err)
		}
	}
	del := message(unix.NFT_MSG_DELTABLE, unix.NLM_F_ACK|unix.NLM_F_NONREC, t.family(), nfnetlink.StringAttribute(unix.NFTA_TABLE_NAME, marks.MangleTable))
	if err := t.request(batch(del)); err != nil && !isInUseOrGone(err) {
		return fmt.Errorf("delete the empty table %s: %w", marks.MangleTable, err)
	}
	return nil
}

func isInUseOrGone(err error) bool { return errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENOENT) }

func (t *Table) family() uint8 {
	if t.ipv6() {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

// requestSeq is the number of the one message in a request that is answered.
const requestSeq = 1

// request sends a request and waits for its acknowledgement.
func (t *Table) request(message []byte) error {
	_, err := t.requestReply(message)
	return err
}

// requestReply sends a request and gives the attributes of its answer, or nothing when it is only acknowledged.
func (t *Table) requestReply(request []byte) ([]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buffer := make([]byte, 1<<12) // the answers are short
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		for m := range nfnetlink.Messages(buffer[:n]) {
			if binary.NativeEndian.Uint32(m[8:]) != requestSeq {
				continue
			}
			body := m[unix.SizeofNlMsghdr:]
			if binary.NativeEndian.Uint16(m[4:]) != unix.NLMSG_ERROR {
				return body[min(4, len(body)):], nil
			}
			if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
				return nil, unix.Errno(errno)
			}
			return nil, nil
		}
	}
}

// batch wraps a change, which the kernel takes only between the two marks of a transaction.
func batch(change []byte) []byte {
	return slices.Concat(nfnetlink.BatchMarker(unix.NFNL_MSG_BATCH_BEGIN, 0), change, nfnetlink.BatchMarker(unix.NFNL_MSG_BATCH_END, 0))
}

func message(kind uint16, flags uint16, family uint8, attributes ...[]byte) []byte {
	return nfnetlink.Message(kind, unix.NLM_F_REQUEST|flags, requestSeq, family, attributes...)
}
