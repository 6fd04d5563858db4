package rtnl

import (
	"replypath/marks/nlattr"
	"replypath/uplinks/egress"
)

// Attributes of tbf (linux/pkt_sched.h), and the sizes and offsets of what they hold.
const (
	tcaTBFParms, tcaTBFRate64 = 1, 4

	sizeofTBFParms  = 36 // struct tc_tbf_qopt
	rateAt, burstAt = 8, 28
	tick            = 64 // nanoseconds: psched(9) counts time in these
	second          = 1_000_000_000
)

// parseQdiscOptions decodes what makes a qdisc drop packets.
func parseQdiscOptions(q *egress.Qdisc, options nlattr.Value) {
	switch {
	case q.Kind == "netem" && len(options) >= 12:
		q.Loss = nativeEndian.Uint32(options[8:]) // struct tc_netem_qopt
	case (q.Kind == "pfifo" || q.Kind == "bfifo" || q.Kind == "pfifo_head_drop") && len(options) >= 4:
		q.Limit = &egress.QueueLimit{Size: uint64(nativeEndian.Uint32(options)), Packets: q.Kind != "bfifo"} // struct tc_fifo_qopt
	case q.Kind == "tbf":
		parms := nlattr.Find(options, tcaTBFParms)
		if len(parms) < sizeofTBFParms {
			return
		}
		q.Rate = uint64(nativeEndian.Uint32(parms[rateAt:]))
		if rate := nlattr.Find(options, tcaTBFRate64); len(rate) == 8 {
			q.Rate = nativeEndian.Uint64(rate)
		}
		// The kernel keeps the burst as the time that it takes.
		q.Limit = &egress.QueueLimit{Size: uint64(float64(nativeEndian.Uint32(parms[burstAt:])) * tick / second * float64(q.Rate))}
	}
}
