package foreign

import (
	"regexp"
	"strconv"
	"strings"
)

// Port is a port that a rule compares.
type Port struct {
	Proto  string // tcp, udp, ...; empty: any
	Number uint16 // of a range, the first one
}

// ChangesReplies reports whether the rule may change the mark, the connection or, behind its route, the way of a reply.
func (r Rule) ChangesReplies() bool {
	return r.MarkBits != 0 && r.WritesMark || r.NoTrack || r.Zone || r.SYNProxy || r.ChangesEgress()
}

// nftPort matches a comparison of a port in the syntax of nft(8).
var nftPort = regexp.MustCompile(`\b(tcp|udp|th|sctp|dccp|udplite) [sd]port (\d+)`)

// Ports returns the ports that the rule compares, of sets the first ones; or, if it compares none, those by which other rules select what
// comes to its chain.
func (r Rule) Ports() (all []Port) {
	for _, m := range nftPort.FindAllStringSubmatch(r.Selectors, -1) {
		all = appendPort(all, strings.TrimPrefix(m[1], "th"), m[2])
	}
	if r.Selectors == "" { // of iptables
		all = savedPorts(strings.Fields(quotedText.ReplaceAllString(r.Text, "-")))
	}
	for _, p := range r.SetPorts {
		if p.Number != 0 {
			all = append(all, p)
		}
	}
	return all
}

// savedPorts returns the ports that a rule compares, as iptables-save prints it.
func savedPorts(words []string) (all []Port) {
	proto, _ := option(words, "-p")
	for i, w := range words[:max(0, len(words)-1)] {
		switch w {
		case "--sport", "--dport", "--sports", "--dports", "--ports":
			for text := range strings.SplitSeq(words[i+1], ",") {
				all = appendPort(all, proto, text)
			}
		}
	}
	return all
}

// appendPort appends the port, of a range the first one.
func appendPort(all []Port, proto, text string) []Port {
	first, _, _ := strings.Cut(text, ":")
	if n, err := strconv.ParseUint(first, 10, 16); err == nil && n != 0 {
		all = append(all, Port{proto, uint16(n)})
	}
	return all
}
