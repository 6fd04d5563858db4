package nftnl

import (
	"encoding/binary"
	"slices"

	"replypath/marks/netfilter"

	"golang.org/x/sys/unix"
)

// Transaction is encoded before it is executed, any number of times.
type Transaction struct {
	operations []string // of its requests
	message    []byte
}

// NewTransaction returns a transaction of the requests, of which the kernel executes all or none.
func NewTransaction(requests []Request) *Transaction { return newTransaction(0, requests) }

// newTransaction returns a transaction that is executed if nftables has this generation; 0: in any case.
func newTransaction(generation uint32, requests []Request) *Transaction {
	begin := netfilter.BatchMarker(unix.NFNL_MSG_BATCH_BEGIN, 0)
	if generation != 0 {
		begin = extend(begin, Uint32Attribute(unix.NFNL_BATCH_GENID, generation))
	}
	parts := make([][]byte, 0, len(requests)+2)
	parts = append(parts, begin)
	for i, r := range requests {
		flags := r.flags | unix.NLM_F_REQUEST
		if i == len(requests)-1 {
			flags |= unix.NLM_F_ACK
		}
		parts = append(parts, r.bytes(flags, 0))
	}
	parts = append(parts, netfilter.BatchMarker(unix.NFNL_MSG_BATCH_END, 0))
	return &Transaction{operationsOf(requests), slices.Concat(parts...)}
}

func operationsOf(requests []Request) (all []string) {
	for _, r := range requests {
		all = append(all, r.Operation)
	}
	return all
}

// extend returns a message with a further attribute.
func extend(message, attribute []byte) []byte {
	all := slices.Concat(message, attribute)
	binary.NativeEndian.PutUint32(all, uint32(len(all)))
	return all
}

// number numbers the messages from first on, and returns the last number.
func (t *Transaction) number(first uint32) (last uint32) {
	last = first - 1
	for m := range netfilter.Messages(t.message) {
		last++
		binary.NativeEndian.PutUint32(m[8:], last)
	}
	return last
}
