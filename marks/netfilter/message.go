package netfilter

import (
	"encoding/binary"
	"iter"
	"slices"

	"golang.org/x/sys/unix"
)

// Message encodes a message to nftables. A request needs NLM_F_REQUEST among its flags.
func Message(kind, flags uint16, seq uint32, family uint8, attributes ...[]byte) []byte {
	return message(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, seq, family, 0, attributes...)
}

// BatchMarker encodes one of the two messages that enclose a transaction: NFNL_MSG_BATCH_BEGIN or NFNL_MSG_BATCH_END.
func BatchMarker(kind uint16, seq uint32) []byte {
	return message(kind, unix.NLM_F_REQUEST, seq, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
}

func message(kind, flags uint16, seq uint32, family, resource uint8, attributes ...[]byte) []byte {
	body := slices.Concat(attributes...)
	size := unix.SizeofNlMsghdr + 4 + len(body)
	b := make([]byte, 0, size)
	b = binary.NativeEndian.AppendUint32(b, uint32(size))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, family, unix.NFNETLINK_V0, 0, resource)
	return append(b, body...)
}

// Messages iterates over the messages of one datagram, each with its header. It ends at the first that is truncated.
func Messages(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) >= unix.SizeofNlMsghdr {
			length := int(binary.NativeEndian.Uint32(b))
			if length < unix.SizeofNlMsghdr+4 || length > len(b) || !yield(b[:length]) {
				return
			}
			b = b[min(align(length), len(b)):]
		}
	}
}

func align(n int) int { return (n + 3) &^ 3 }
