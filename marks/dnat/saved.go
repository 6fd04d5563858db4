package dnat

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"replypath/marks/foreign"

	"golang.org/x/sys/unix"
)

// natPriority is the priority of the table nat of iptables in PREROUTING (NF_IP_PRI_NAT_DST).
const natPriority = -100

// quotedText matches free text, such as a comment.
var quotedText = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// savedRule is a rule as iptables-save prints it.
type savedRule struct {
	conditions []condition
	target     string
	isGoto     bool
	options    map[string]string // of the target
	compared   []uint16          // the destination ports, of a range the first one
}

// condition compares a property of the request.
type condition func(*Request) match

// parseSave returns the base chain of the table nat in the output of iptables-save(8), if it has one, and the names of all
// tables.
func parseSave(family uint8, saved string) (hooks []hook, tables []string) {
	h := hook{ipv4: family == unix.NFPROTO_IPV4, ipv6: family == unix.NFPROTO_IPV6, priority: natPriority, chain: "PREROUTING", chains: map[string][]rule{}}
	for line := range strings.Lines(saved) {
		line = quotedText.ReplaceAllString(strings.TrimSpace(line), "-")
		if name, isTable := strings.CutPrefix(line, "*"); isTable {
			tables = append(tables, name)
		}
		if len(tables) == 0 || tables[len(tables)-1] != "nat" {
			continue
		}
		words := strings.Fields(line)
		if name, isChain := strings.CutPrefix(line, ":"); isChain && len(words) > 1 {
			name, _, _ = strings.Cut(name, " ")
			h.chains[name] = nil
			h.drops = h.drops || name == h.chain && words[1] == "DROP"
		}
		if len(words) > 1 && words[0] == "-A" {
			h.chains[words[1]] = append(h.chains[words[1]], parseRule(words[2:], h.ipv6))
		}
	}
	if len(h.chains) > 0 {
		hooks = append(hooks, h)
	}
	return hooks, tables
}

// parseRule reads the options of a rule. One that is not understood is a condition that may or may not hold.
func parseRule(words []string, ipv6 bool) *savedRule {
	r := &savedRule{options: map[string]string{}}
	invert := false
	for len(words) > 0 {
		name, value := words[0], ""
		words = words[1:]
		if name == "!" {
			invert = true
			continue
		}
		for len(words) > 0 && words[0] != "!" && (!strings.HasPrefix(words[0], "-") || words[0] == "-") {
			value = strings.TrimSpace(value + " " + words[0])
			words = words[1:]
		}
		r.addOption(name, value, invert, ipv6)
		invert = false
	}
	return r
}

// targetOptions are the options of the targets that translate destinations.
var targetOptions = []string{"--to-destination", "--to-ports", "--to", "--random", "--random-fully", "--persistent"}

// ignoredOptions select no packets, or select all requests to an address of the host.
var ignoredOptions = []string{"--comment", "--limit-iface-in"}

// knownMatches are the matches whose options are conditions that are understood.
var knownMatches = []string{"tcp", "udp", "multiport", "addrtype", "conntrack", "state", "comment"}

func (r *savedRule) addOption(name, value string, invert, ipv6 bool) {
	switch {
	case name == "-j" || name == "-g":
		r.target, r.isGoto = value, name == "-g"
		return
	case slices.Contains(targetOptions, name) && r.target != "":
		r.options[name] = value
		return
	case slices.Contains(ignoredOptions, name), name == "-m" && slices.Contains(knownMatches, value):
		return
	}
	if name == "--dport" || name == "--dports" || name == "--ports" {
		for text := range strings.SplitSeq(value, ",") {
			if low, _, ok := portRange(text, ":"); ok {
				r.compared = append(r.compared, low)
			}
		}
	}
	c := parseCondition(name, value, ipv6)
	if invert {
		r.conditions = append(r.conditions, func(q *Request) match { return c(q).not() })
		return
	}
	r.conditions = append(r.conditions, c)
}

// ports implements rule.
func (r *savedRule) ports(add func(uint16)) {
	for _, port := range r.compared {
		add(port)
	}
}

// eval implements rule.
func (r *savedRule) eval(w *walk) outcome {
	holds := yes
	for _, c := range r.conditions {
		if holds = min(holds, c(&w.Request)); holds == no {
			return next
		}
	}
	o := r.verdict(w)
	if holds == maybe {
		o |= next
	}
	return o
}

// verdict returns the outcome for requests that the rule selects.
func (r *savedRule) verdict(w *walk) outcome {
	if _, isChain := w.chains[r.target]; isChain {
		if r.isGoto {
			return w.traverse(r.target)
		}
		return w.jump(r.target)
	}
	switch r.target {
	case "ACCEPT":
		return accepts
	case "DROP":
		return taken
	case "RETURN":
		return returns
	case "DNAT":
		return w.translateText(r.options["--to-destination"])
	case "REDIRECT":
		low, high, ok := portRange(r.options["--to-ports"], "-")
		if !ok {
			low = 0
		}
		return w.translate(netip.Addr{}, netip.Addr{}, low, high)
	case "NETMAP":
		a := mapAddr(w.To, r.options["--to"])
		return w.translate(a, a, 0, 0)
	}
	if r.target == "" && len(r.conditions) > 0 || foreign.Continues(r.target) {
		return next
	}
	return anything // an unknown target, or a rule that iptables cannot decode: it prints it without options
}

// translateText returns the outcome of DNAT to ADDRESS[-ADDRESS][:PORT[-PORT]], with IPv6 addresses in brackets before a port.
func (w *walk) translateText(to string) outcome {
	addrs, ports, hasPort := to, "", false
	if inside, after, bracketed := strings.Cut(strings.TrimPrefix(to, "["), "]"); bracketed {
		addrs = inside
		ports, hasPort = strings.CutPrefix(after, ":")
	} else if w.To.Is4() {
		addrs, ports, hasPort = strings.Cut(to, ":")
	}
	low, high, ok := portRange(ports, "-")
	if hasPort && !ok {
		return taken | kept
	}
	firstText, lastText, isRange := strings.Cut(addrs, "-")
	first, _ := netip.ParseAddr(firstText)
	last := first
	if isRange {
		last, _ = netip.ParseAddr(lastText)
	}
	return w.translate(first, last, low, high)
}

// mapAddr returns the address with the network of prefix (NETMAP), or the zero Addr.
func mapAddr(a netip.Addr, prefix string) netip.Addr {
	p, err := netip.ParsePrefix(prefix)
	if single, err2 := netip.ParseAddr(prefix); err2 == nil {
		p, err = single.Prefix(single.BitLen())
	}
	if err != nil || p.Addr().BitLen() != a.BitLen() {
		return netip.Addr{}
	}
	b, network := a.AsSlice(), p.Addr().AsSlice()
	for i := range p.Bits() {
		bit := byte(0x80 >> (i % 8))
		b[i/8] = b[i/8]&^bit | network[i/8]&bit
	}
	mapped, _ := netip.AddrFromSlice(b)
	return mapped
}
