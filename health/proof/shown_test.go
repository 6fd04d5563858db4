package proof_test

import (
	"net/netip"
	"strings"
	"testing"

	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"
)

// lte is the path of the second uplink, and question an echo that it is shown by.
var (
	lte = health.Path{Key: health.Key{Uplink: "lte", Family: uplinks.IPv4}, ID: 2, Link: "eth1", Index: 3, Up: true, Carrier: true,
		Source: netip.MustParseAddr("192.0.2.2"), Gateway: netip.MustParseAddr("192.0.2.1"), Mark: 0x200, Mask: 0x1f00, Table: 8202}
	asker    = netip.MustParseAddrPort("203.0.113.254:40000")
	question = proof.Question{Path: lte, Kind: proof.Echo, Proto: "icmp", From: asker, To: netip.AddrPortFrom(lte.Source, 0)}
)

// seen is a walk to the point, with the packet's mark and the connection's from Marked on.
func seen(mark, ctmark uint32, points ...proof.Point) (all []proof.Sighting) {
	for _, p := range points {
		s := proof.Sighting{At: p, Asker: asker.Addr(), Number: asker.Port()}
		if p != proof.Arrived {
			s.Mark, s.Ctmark = mark, ctmark
		}
		all = append(all, s)
	}
	return all
}

func departed(link int, replies bool) []proof.Departure {
	return []proof.Departure{{Asker: asker.Addr(), Number: asker.Port(), From: lte.Source, Link: link, Replies: replies}}
}

const other = 0x40000 // a bit of somebody else's

func TestTheFartherAWalkTheMoreIsKnown(t *testing.T) {
	in := []proof.Point{proof.Arrived, proof.Marked, proof.Inbound, proof.Accepted}
	upTo := func(n int, more ...proof.Point) []proof.Point {
		return append(append([]proof.Point{}, in[:n]...), more...)
	}
	missing := health.Check{Result: health.No, Cause: health.RouteMissing, Why: "no way out", Remedy: "apply"}
	check := health.Check{Result: health.No, Cause: health.SourceCheck, Why: "rp_filter", Remedy: "apply"}
	for name, c := range map[string]struct {
		change func(*proof.Question)
		walk   []proof.Sighting
		left   []proof.Departure
		asked  health.Check
		values map[uplinks.Tunable]string
		want   health.Cause // empty: yes
		says   string
		result health.Result
	}{
		"answered by its ingress":     {walk: seen(0x200|other, 0x200|other, upTo(4, proof.Answered, proof.Sent)...), left: departed(3, true), result: health.Yes},
		"lost before the firewall":    {want: health.Filtered, result: health.Unknown, says: "XDP"},
		"dropped in raw":              {walk: seen(0, 0, upTo(1)...), want: health.Filtered, result: health.Unknown, says: "raw"},
		"no mark on the connection":   {walk: seen(other, other, upTo(4)...), left: departed(3, true), want: health.NotSaved, result: health.No, says: "none"},
		"another's mark":              {walk: seen(0x100, 0x100, upTo(4)...), left: departed(2, true), want: health.NotSaved, result: health.No, says: "0x100"},
		"no mark on the packet":       {walk: seen(0, 0x200, upTo(4)...), left: departed(3, true), want: health.NotRestored, result: health.No, says: "PREROUTING"},
		"no mark on the answer":       {walk: append(seen(0x200, 0x200, upTo(4)...), seen(0, 0x200, proof.Answered, proof.Sent)...), left: departed(2, true), want: health.NotRestored, result: health.No, says: "OUTPUT"},
		"no mark on inside's answer":  {walk: append(seen(0x200, 0x200, upTo(2, proof.Forward, proof.Forwarded)...), seen(0, 0x200, proof.Returned)...), left: departed(2, true), want: health.NotRestored, result: health.No, says: "inside"},
		"astray, and the kernel says": {walk: seen(0x200, 0x200, upTo(4, proof.Answered, proof.Sent)...), left: departed(2, true), asked: missing, want: health.RouteMissing, result: health.No, says: "eth0: no way out"},
		"astray, nobody knows why":    {walk: seen(0x200, 0x200, upTo(4, proof.Answered, proof.Sent)...), left: departed(2, true), want: health.OtherCause, result: health.No, says: "eth0"},
		"the source check":            {walk: seen(0x200, 0x200, upTo(2)...), asked: check, want: health.SourceCheck, result: health.No},
		"dropped in nat":              {walk: seen(0x200, 0x200, upTo(2)...), want: health.Filtered, result: health.Unknown, says: "behind mangle"},
		"dropped in INPUT":            {walk: seen(0x200, 0x200, upTo(3)...), want: health.Filtered, result: health.Unknown, says: "INPUT"},
		"dropped in FORWARD":          {walk: seen(0x200, 0x200, upTo(2, proof.Forward)...), want: health.Filtered, result: health.Unknown, says: "FORWARD"},
		"dropped on its way back":     {walk: seen(0x200, 0x200, upTo(2, proof.Forward, proof.Forwarded, proof.Returned)...), want: health.Filtered, result: health.Unknown, says: "inside"},
		"no way for inside's answer":  {walk: seen(0x200, 0x200, upTo(2, proof.Forward, proof.Forwarded, proof.Returned)...), asked: missing, want: health.RouteMissing, result: health.No},
		"no way for the question":     {walk: seen(0x200, 0x200, upTo(2)...), asked: missing, want: health.RouteMissing, result: health.No},
		"dropped in OUTPUT":           {walk: seen(0x200, 0x200, upTo(4, proof.Answered)...), want: health.Filtered, result: health.Unknown, says: "OUTPUT"},
		"dropped behind OUTPUT":       {walk: seen(0x200, 0x200, upTo(4, proof.Answered, proof.Sent)...), want: health.Filtered, result: health.Unknown, says: "behind OUTPUT"},
		"no way for an answer":        {walk: seen(0x200, 0x200, upTo(4)...), asked: missing, want: health.RouteMissing, result: health.No},
		"echoes are ignored": {walk: seen(0x200, 0x200, upTo(4)...), want: health.NoAnswer, result: health.Unknown, says: "icmp_echo_ignore_all = 1",
			values: map[uplinks.Tunable]string{{Name: "net.ipv4.icmp_echo_ignore_all"}: "1"}},
		"nobody answers":     {walk: seen(0x200, 0x200, upTo(4)...), want: health.NoAnswer, result: health.Unknown},
		"sent out by uplink": {walk: seen(0x200, 0x200, upTo(2, proof.Forward, proof.Forwarded, proof.Bounced)...), want: health.NoAnswer, result: health.Unknown, says: "held back"},
		"a wildcard UDP server": {walk: seen(0x200, 0x200, upTo(4)...), left: departed(2, false), want: health.WildcardUDP, result: health.No, says: "eth0",
			change: func(q *proof.Question) { q.Kind, q.Proto = proof.Service, "udp" }},
		"a UDP server that says nothing": {walk: seen(0x200, 0x200, upTo(4)...), want: health.NoAnswer, result: health.Unknown, says: "UDP server",
			change: func(q *proof.Question) { q.Kind, q.Proto = proof.Service, "udp" }},
		"somebody else's answer": {walk: seen(0x200, 0x200, upTo(4)...), want: health.NoAnswer, result: health.Unknown,
			left: []proof.Departure{{Asker: asker.Addr(), Number: 1, Link: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			q := question
			if c.change != nil {
				c.change(&q)
			}
			g := proof.Ground{Facts: uplinkstest.Facts(), Values: c.values}
			got := g.Shown([]proof.Question{q}, proof.Sights{Sightings: c.walk, Departures: c.left}, map[health.Key]health.Check{lte.Key: c.asked})[0]
			if got.Check.Result != c.result || got.Check.Cause != c.want || !strings.Contains(got.Check.Why, c.says) {
				t.Errorf("%+v, want %s %s %q", got.Check, c.result, c.want, c.says)
			}
			if c.result != health.Yes && (got.Check.Why == "" || got.Check.Remedy == "") {
				t.Errorf("neither reason nor remedy: %+v", got.Check)
			}
		})
	}
}

func TestTheSumOfAnswers(t *testing.T) {
	yes := proof.Answer{Check: health.Check{Result: health.Yes}}
	no := proof.Answer{Check: health.Check{Result: health.No, Cause: health.NotSaved}}
	later := proof.Answer{Check: health.Check{Result: health.No, Cause: health.NotRestored}}
	filtered := proof.Answer{Check: health.Check{Result: health.Unknown, Cause: health.Filtered}}
	for name, c := range map[string]struct {
		answers []proof.Answer
		want    health.Result
		cause   health.Cause
	}{
		"nothing":                        {nil, health.Unknown, health.CannotShow},
		"all right":                      {[]proof.Answer{yes, yes}, health.Yes, ""},
		"one is wrong":                   {[]proof.Answer{yes, no, later}, health.No, health.NotSaved},
		"some unknown":                   {[]proof.Answer{filtered, yes, filtered}, health.Yes, ""},
		"all unknown":                    {[]proof.Answer{filtered, filtered}, health.Unknown, health.Filtered},
		"a wrong one after unknown ones": {[]proof.Answer{filtered, no}, health.No, health.NotSaved},
	} {
		if got := proof.Sum(c.answers); got.Result != c.want || got.Cause != c.cause {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
