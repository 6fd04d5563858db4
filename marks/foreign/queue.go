package foreign

import (
	"strconv"
	"strings"

	"replypath/marks/nlattr"
)

// Queues are those that a rule hands packets to, for a program to decide (NFQUEUE). The zero value is none.
type Queues struct {
	Hands       bool
	First, Last uint16
	Bypass      bool // without a program the packets go on
}

// Unread returns the first of the queues that no program reads, if the kernel drops what is in it. listening reports whether a program
// reads a queue.
func (q Queues) Unread(listening func(uint16) bool) (number uint16, unread bool) {
	if !q.Hands || q.Bypass {
		return 0, false
	}
	for n := int(q.First); n <= int(q.Last); n++ {
		if !listening(uint16(n)) {
			return uint16(n), true
		}
	}
	return 0, false
}

// parseQueues reads the options of NFQUEUE as iptables-save prints them.
func parseQueues(words []string) (q Queues) {
	if target, _ := option(words, "-j"); target != "NFQUEUE" {
		return q
	}
	text, _ := option(words, "--queue-num")
	if balance, is := option(words, "--queue-balance"); is {
		text = balance
	}
	first, last, isRange := strings.Cut(text, ":")
	q = Queues{Hands: true, First: queueNumber(first), Last: queueNumber(last)}
	if !isRange {
		q.Last = q.First
	}
	for _, w := range words {
		q.Bypass = q.Bypass || w == "--queue-bypass"
	}
	return q
}

func queueNumber(text string) uint16 {
	n, _ := strconv.ParseUint(text, 10, 16)
	return uint16(n)
}

// Attributes of the expression queue (linux/netfilter/nf_tables.h), which x/sys does not define.
const (
	queueNum, queueTotal, queueFlags = 1, 2, 3
	queueBypass                      = 1 // NFT_QUEUE_FLAG_BYPASS
)

// readQueues decodes the expression queue. One whose number comes from a map is none: it is not known.
func readQueues(data []byte) Queues {
	number := nlattr.Find(data, queueNum)
	if number == nil {
		return Queues{}
	}
	q := Queues{Hands: true, First: uint16(number.BigEndian()), Bypass: nlattr.Find(data, queueFlags).BigEndian()&queueBypass != 0}
	q.Last = q.First + max(1, uint16(nlattr.Find(data, queueTotal).BigEndian())) - 1
	return q
}
