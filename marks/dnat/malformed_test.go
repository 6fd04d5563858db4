package dnat

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"replypath/marks/nlattr"

	"golang.org/x/sys/unix"
)

// TestMalformedRules evaluates random options and expressions: they have some outcome, and never a panic.
func TestMalformedRules(t *testing.T) {
	for seed := range uint64(20000) {
		r := rand.New(rand.NewPCG(seed, seed))
		q := Request{Proto: unix.IPPROTO_UDP, Port: 53, Link: "eth0", To: netip.MustParseAddr([]string{"192.0.2.2", "2001:db8:b::2"}[seed%2]),
			IsOfHost: func(netip.Addr) bool { return seed%3 == 0 }}
		words := []string{"-A", "PREROUTING"}
		for range r.IntN(12) {
			words = append(words, savedWords[r.IntN(len(savedWords))])
		}
		hooks, _ := parseSave([]uint8{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6}[seed%2], "*nat\n:PREROUTING ACCEPT [0:0]\n"+strings.Join(words, " ")+"\nCOMMIT\n")
		Rules{hooks}.TakesAway(q)
		Rules{[]hook{{ipv4: true, ipv6: true, chain: "p", chains: map[string][]rule{"p": {randomRule(r)}}}}}.TakesAway(q)
	}
}

var savedWords = strings.Fields("! -i -d -s -p -m -j -g --dport --dports --ports --dst-type --ctstate --to-destination --to-ports --to DNAT REDIRECT NETMAP RETURN PREROUTING " +
	"udp multiport 53 1: :9 9:1 5,, 0 65535 70000 [::1]:5 [::1 ::1 192.0.2.2 192.0.2.2/33 2001:db8::/0 192.0.2.2:5-2 1.1.1.1-2.2.2.2 -- - eth+ + ,")

// randomRule returns a rule of expressions with random attributes.
func randomRule(r *rand.Rand) *nftRule {
	names := []string{"meta", "ct", "fib", "payload", "immediate", "bitwise", "byteorder", "cmp", "range", "lookup", "nat", "redir", "numgen", "hash"}
	set := &nftSet{known: true, fields: []int{r.IntN(20)}, elements: []element{{first: make([]byte, r.IntN(20)), last: make([]byte, r.IntN(20)), data: make([]byte, r.IntN(20))}}}
	malformed := &nftRule{sets: map[string]*nftSet{"": set}}
	for range 12 {
		var data []byte
		for kind := range uint16(1 + r.IntN(8)) {
			value := make([]byte, []int{0, 1, 2, 4, 4, 4, 16}[r.IntN(7)])
			for i := range value {
				value[i] = byte(r.IntN(24) * (i / 3))
			}
			data = nlattr.Append(data, kind, value)
		}
		malformed.expressions = append(malformed.expressions, expression{names[r.IntN(len(names))], data})
	}
	return malformed
}
