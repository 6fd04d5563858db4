package foreign

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"replypath/marks"
)

// ParseSave returns all rules of other programs in the output of iptables-save(8), and the names of its chains, each behind that of
// its table. tool is the command that printed it.
func ParseSave(tool, saved string) (rules []Rule, chains []string) {
	table := ""
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		if name, isTable := strings.CutPrefix(line, "*"); isTable {
			table = name
		}
		if name, isChain := strings.CutPrefix(line, ":"); isChain {
			name, _, _ = strings.Cut(name, " ")
			chains = append(chains, table+" "+name)
		}
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "-A" || RuleIsOurs(words) {
			continue
		}
		r := Rule{Tool: tool, Location: table + " " + words[1], Chain: words[1], Text: line}
		if slices.Contains(hookNames[:], words[1]) {
			r.Hook = words[1]
		}
		r.parseOptions(table, words)
		rules = append(rules, r)
	}
	markHooks(rules)
	markDiscovery(rules)
	followNAT(savedNAT(rules))
	ports := portsOfChains(savedLinks(rules))
	for i := range rules {
		rules[i].inherit(ports)
	}
	return rules, chains
}

// RuleIsOurs reports whether the words of a rule, such as -A CHAIN -j TARGET, are in a chain of replypath, or jumps to one.
func RuleIsOurs(words []string) bool {
	if strings.HasPrefix(words[1], marks.Prefix) {
		return true
	}
	target, ok := option(words, "-j")
	return ok && strings.HasPrefix(target, marks.Prefix)
}

// option returns the argument of the first occurrence of an option.
func option(words []string, name string) (argument string, ok bool) {
	if at := slices.Index(words, name); at >= 0 && at+1 < len(words) {
		return words[at+1], true
	}
	return "", false
}

// parseOptions reads the options as iptables-save prints them. Quoted arguments are free text and are skipped.
func (r *Rule) parseOptions(table string, words []string) {
	has := func(options ...string) bool {
		return slices.ContainsFunc(options, func(o string) bool { return slices.Contains(words, o) })
	}
	for i, w := range words[:len(words)-1] {
		switch {
		case strings.HasPrefix(words[i+1], `"`):
		case w == "--mark" || w == "--set-xmark" || w == "--set-mark":
			r.parseMark(words[i+1], w != "--mark")
		case w == "-j" && words[i+1] == "CONNMARK":
			r.WritesConnmark = !has("--restore-mark")
			if has("--save-mark", "--restore-mark") {
				r.parseMarkCopy(words)
			}
		case w == "-m" && words[i+1] == "rpfilter":
			// The table raw is traversed before the chains of replypath.
			r.ChecksReversePath, r.ChecksWithMark = !has("--loose"), has("--validmark") && table == marks.MangleTable
		case w == "-j" && words[i+1] == "NOTRACK", w == "-j" && words[i+1] == "CT" && has("--notrack"):
			r.NoTrack = true
		case w == "-j" && words[i+1] == "FLOWOFFLOAD":
			r.FlowOffload = true
		case w == "-j" && words[i+1] == "CT" && has("--zone", "--zone-orig", "--zone-reply"):
			r.Zone = true
		case w == "-j" && words[i+1] == "TCPMSS":
			r.ClampsMSS = true
		case w == "-i" && words[i-1] != "!":
			r.In = words[i+1]
		case w == "-o" && words[i-1] != "!":
			r.Out = words[i+1]
		case w == "--src-group":
			r.InGroup = words[i+1]
		case w == "--dst-group":
			r.OutGroup = words[i+1]
		}
	}
	r.Queues = parseQueues(words)
	r.parseTranslation(table, words)
	r.ZeroMarkVerdict = comparesZeroMark(words) && endsTraversal(words)
}

// parseTranslation reads what the target does to addresses and connections.
func (r *Rule) parseTranslation(table string, words []string) {
	target, _ := option(words, "-j")
	r.TranslatesDestination = target == "DNAT" || target == "REDIRECT"
	r.TranslatesSource = table == "nat" && slices.Contains([]string{"MASQUERADE", "SNAT", "NETMAP"}, target)
	r.KeepsSource = table == "nat" && r.Chain == postrouting && (target == "ACCEPT" || target == "RETURN") && !slices.Contains(words, "--pol")
	switch {
	case target == "DNAT" && table == "nat":
		to, _ := option(words, "--to-destination")
		proto, _ := option(words, "-p")
		r.LoopbackDNAT = strings.HasPrefix(to, "127.") && proto != "tcp"
	case target == "SYNPROXY":
		r.SYNProxy = true
	case target == "SNPT":
		r.Stateless = StatelessNAT{Inside: prefixOption(words, "--src-pfx"), Outside: prefixOption(words, "--dst-pfx")}
	case target == "DNPT":
		r.Stateless = StatelessNAT{Inside: prefixOption(words, "--dst-pfx"), Outside: prefixOption(words, "--src-pfx")}
	}
}

// prefixOption returns the prefix that is the argument of an option, the zero Prefix without one.
func prefixOption(words []string, name string) netip.Prefix {
	text, _ := option(words, name)
	p, _ := netip.ParsePrefix(text)
	return p.Masked()
}

// comparesZeroMark reports whether a match of the whole mark with 0 is among the options.
func comparesZeroMark(words []string) bool {
	for i, w := range words[:len(words)-1] {
		if m, err := marks.ParseMarkMatch(words[i+1]); w == "--mark" && err == nil && m == (marks.MarkMatch{Mask: marks.FullMask}) {
			return true
		}
	}
	return false
}

// endsTraversal reports whether the rule has a verdict, or goes on in another chain, which may have one.
func endsTraversal(words []string) bool {
	target, jumps := option(words, "-j")
	return slices.Contains(words, "-g") || jumps && !slices.Contains(nonTerminatingTargets, target)
}

// parseMark reads MARK/MASK. Without a mask all bits count.
func (r *Rule) parseMark(text string, writes bool) {
	m, err := marks.ParseMarkMatch(text)
	if err != nil {
		return
	}
	r.MarkBits |= m.Mask
	r.MarkValue |= m.Mark
	r.WritesMark = r.WritesMark || writes
	r.OverwritesMark = r.OverwritesMark || writes && m.Mask == marks.FullMask
}

// parseMarkCopy reads the masks of CONNMARK --save-mark and --restore-mark. A mask that is not printed is the full
// mask.
func (r *Rule) parseMarkCopy(words []string) {
	for _, name := range []string{"--nfmask", "--ctmask", "--mask"} {
		mask := marks.FullMask
		if text, ok := option(words, name); ok {
			n, _ := strconv.ParseUint(text, 0, 32)
			mask = marks.Mask(n)
		} else if name == "--mask" {
			continue
		}
		r.MarkBits |= mask
		r.WritesMark = true
		r.OverwritesMark = r.OverwritesMark || mask == marks.FullMask
	}
}

// markHooks records which rules packets meet in POSTROUTING and what they do there, and which ones packets that are forwarded meet.
// Chains of NAT are none: established connections do not traverse them.
func markHooks(rules []Rule) {
	words := make([][]string, len(rules))
	for i, r := range rules {
		words[i] = strings.Fields(quotedText.ReplaceAllString(r.Text, "-"))
	}
	egress, forwarded := reachedChains(rules, words, "POSTROUTING"), reachedChains(rules, words, "PREROUTING", "FORWARD", "POSTROUTING")
	for i, r := range rules {
		if forwarded[r.Location] {
			rules[i].Forwarded, rules[i].Counts = true, countsPackets(words[i])
		}
		if egress[r.Location] {
			target := targetOf(words[i])
			rules[i].Egress, rules[i].Drops = true, target == "DROP" || target == "REJECT"
			rules[i].LinksOnly = selectsLinksOnly(words[i])
			if expires(target, words[i]) {
				rules[i].Rewrites = "TTL"
			}
		}
	}
}

// reachedChains returns the locations of the builtin chains, but for NAT, and of those that they lead to.
func reachedChains(rules []Rule, words [][]string, builtin ...string) map[string]bool {
	reached := map[string]bool{}
	for _, table := range []string{"mangle", "raw", "filter", "security"} {
		for _, chain := range builtin {
			reached[table+" "+chain] = true
		}
	}
	for before := -1; before != len(reached); {
		before = len(reached)
		for i, r := range rules {
			if reached[r.Location] {
				reached[strings.TrimSuffix(r.Location, r.Chain)+targetOf(words[i])] = true
			}
		}
	}
	return reached
}

// expires reports whether the target sets a TTL or hop limit at which the next router drops the packet.
func expires(target string, words []string) bool {
	ttl, _ := option(words, "--ttl-set")
	limit, _ := option(words, "--hl-set")
	return target == "TTL" && ttl == "1" || target == "HL" && limit == "1"
}

// savedLinks returns the jumps of rules as iptables-save prints them. Targets that are no chains lead nowhere.
func savedLinks(rules []Rule) (all []link) {
	for _, r := range rules {
		target := targetOf(strings.Fields(quotedText.ReplaceAllString(r.Text, "-")))
		all = append(all, link{r.Location, strings.TrimSuffix(r.Location, r.Chain) + target, r.Ports()})
	}
	return all
}

// targetOf returns the target of a rule, or the chain that it goes to.
func targetOf(words []string) string {
	if chain, isGoto := option(words, "-g"); isGoto {
		return chain
	}
	target, _ := option(words, "-j")
	return target
}

// selectsLinksOnly reports whether a rule as iptables-save prints it selects by links only.
func selectsLinksOnly(words []string) bool {
	for i := 2; i < len(words); i++ {
		switch words[i] {
		case "-i", "-o", "-j", "--reject-with", "-c":
			i++
		default:
			return false
		}
	}
	return true
}
