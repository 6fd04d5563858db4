package rtnl

import (
	"testing"

	"replypath/marks/nlattr"
	"replypath/uplinks/egress"
)

// qdiscMessage returns a message about a root qdisc with options.
func qdiscMessage(kind string, options []byte) []byte {
	m := make([]byte, sizeofTrafficControl)
	nativeEndian.PutUint32(m[4:], 7)
	nativeEndian.PutUint32(m[12:], egress.Root)
	m = nlattr.Append(m, tcaKind, append([]byte(kind), 0))
	return nlattr.Append(m, tcaOptions, options)
}

func TestQdiscsWithTheirRoom(t *testing.T) {
	parms := make([]byte, sizeofTBFParms)
	nativeEndian.PutUint32(parms[rateAt:], 125)                  // 1 kbit/s
	nativeEndian.PutUint32(parms[burstAt:], 12_800_000_000/tick) // 12.8 s: 1600 bytes
	limit := nativeEndian.AppendUint32(nil, 3)
	for kind, c := range map[string]struct {
		options []byte
		want    egress.Qdisc
	}{
		"tbf":   {nlattr.Append(nil, tcaTBFParms, parms), egress.Qdisc{Rate: 125, Limit: &egress.QueueLimit{Size: 1600}}},
		"pfifo": {limit, egress.Qdisc{Limit: &egress.QueueLimit{Size: 3, Packets: true}}},
		"bfifo": {limit, egress.Qdisc{Limit: &egress.QueueLimit{Size: 3}}},
		"htb":   {limit, egress.Qdisc{}},
	} {
		got, ok := parseQdisc(qdiscMessage(kind, c.options))
		same := got.Limit == nil && c.want.Limit == nil || got.Limit != nil && c.want.Limit != nil && *got.Limit == *c.want.Limit
		if !ok || got.Link != 7 || got.Rate != c.want.Rate || !same {
			t.Errorf("%s: %+v, %+v", kind, got, got.Limit)
		}
	}
	if q, ok := parseQdisc(qdiscMessage("tbf", nlattr.Append(nil, tcaTBFParms, parms[:20]))); !ok || q.Limit != nil {
		t.Errorf("a short message: %+v", q)
	}
}
