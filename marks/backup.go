package marks

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Backup is the definition of the table BackupName of the family inet. It translates sources once more, behind the chains that do: when
// another program empties those (iptables -t nat -F, nft delete table inet replypath), no connection begins with a foreign source until
// they are repaired. It is a table of nftables in every backend: the commands of iptables do not reach it. Chains of address translation
// see only the first packet of a connection, so that all others pay nothing. Values can be compared.
type Backup struct {
	Mask  Mask   // of the uplinks' marks
	Flag  Mask   // see Outbound.Flag
	Group uint32 // of the uplinks' links
	// Restore says that packets get the mark of their connection once more too, which every packet pays for.
	Restore bool
	IPsec   bool // see Outbound.IPsec
	// The egress links by which connections of the family are translated, see Egress.
	ipv4, ipv6 List[backupEgress]
}

// backupEgress is an Egress that can be compared.
type backupEgress struct {
	link    string
	mark    Mark
	sources List[netip.Prefix]
}

// Names of the table and of its base chains. The others have the names of NFTChain.
const (
	BackupName = NFTTable + "-backup"
	BackupPre  = "prerouting"
	BackupPost = "postrouting"
)

// Priorities of the base chains: behind those that give packets their mark and translate their sources, of every backend.
const (
	BackupPrePriority  = -149
	BackupPostPriority = 102
)

// NewBackup returns the definition for the egress links of both families, which does not restore marks.
func NewBackup(mask, flag Mask, group uint32, egress4, egress6 []Egress) Backup {
	return Backup{Mask: mask, Flag: flag, Group: group, ipv4: newEgressList(egress4), ipv6: newEgressList(egress6)}
}

// BackupOf returns the definition of the table that belongs to the chains of both families, of any backend, that translate sources. It does
// not restore marks.
func BackupOf(mask, flag Mask, ipv4, ipv6 []Chain) Backup {
	b := NewBackup(mask, flag, 0, egressOf(mask, ipv4), egressOf(mask, ipv6))
	b.IPsec = slices.ContainsFunc(slices.Concat(ipv4, ipv6), func(c Chain) bool {
		return slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.IPsec })
	})
	return b
}

// egressOf returns the egress links whose packets the chains translate.
func egressOf(mask Mask, chains []Chain) (all []Egress) {
	sources := map[string][]netip.Prefix{}
	for _, c := range chains {
		for _, r := range c.Rules {
			if r.OrigFrom.IsValid() {
				sources[c.Name] = append(sources[c.Name], r.OrigFrom)
			}
		}
	}
	for _, c := range chains {
		for _, r := range c.Rules {
			id, err := strconv.ParseUint(strings.TrimPrefix(r.Action.Chain, Masq), 10, 8)
			if link := r.Out + r.In; r.Action.Kind == Goto && err == nil { // r.In: of an element of a map
				all = append(all, Egress{Link: link, Mark: mask.Mark(ID(id)), Sources: sources[r.Action.Chain]})
			}
		}
	}
	slices.SortFunc(all, func(a, b Egress) int { return cmp.Compare(a.Mark, b.Mark) })
	return all
}

func newEgressList(all []Egress) List[backupEgress] {
	links := make([]backupEgress, len(all))
	for i, e := range all {
		links[i] = backupEgress{e.Link, e.Mark, NewList(e.Sources...)}
	}
	return NewList(links...)
}

// Egress returns the egress links of a family.
func (b Backup) Egress(ipv6 bool) (all []Egress) {
	links := b.ipv4
	if ipv6 {
		links = b.ipv6
	}
	for _, e := range links.Values() {
		all = append(all, Egress{e.link, e.mark, e.sources.Values()})
	}
	return all
}

// NATChains returns the chains that translate the sources of a family: those of Outbound for nftables.
func (b Backup) NATChains(ipv6 bool) []Chain {
	return Outbound{Mask: b.Mask, Flag: b.Flag, Egress: b.Egress(ipv6), IPsec: b.IPsec}.masqChains()
}

// PreRules returns the rules that give the packets of both families the mark of their connection; none without Restore. A packet
// that has a mark meets the first one alone, and one of a connection without a mark the second one at most if the mark has no bits
// of other programs either. What comes in by an uplink in the original direction of its connection gets its mark by that link alone.
func (b Backup) PreRules() []Rule {
	if !b.Restore {
		return nil
	}
	plain, copies := MarkMatch{Mask: FullMask}, Action{Kind: AcceptCtmark, Mask: b.Mask}
	rules := []Rule{
		{Fwmark: MarkMatch{Not: true, Mask: b.Mask}, Action: Action{Kind: Accept}},
		{SrcGroup: b.Group, NotSrcGroup: true, Fwmark: plain, Action: copies},
		{SrcGroup: b.Group, Dir: "ORIGINAL", Action: Action{Kind: Accept}},
		{Fwmark: plain, Action: copies},
		{Ctmark: MarkMatch{Mask: b.Mask}, Action: Action{Kind: Accept}},
	}
	var done []Mark
	for _, e := range slices.Concat(b.Egress(false), b.Egress(true)) {
		if !slices.Contains(done, e.Mark) {
			done = append(done, e.Mark)
			rules = append(rules, Rule{Ctmark: MarkMatch{Mark: e.Mark, Mask: b.Mask}, Action: Action{Kind: SetFwmark, Mark: e.Mark, Mask: b.Mask}})
		}
	}
	return rules
}

// Families returns which families are translated: whether they are IPv6.
func (b Backup) Families() (all []bool) {
	for _, ipv6 := range []bool{false, true} {
		if len(b.Egress(ipv6)) > 0 {
			all = append(all, ipv6)
		}
	}
	return all
}

// NFTDeleteBackup is the command of nft(8) that deletes the table, without the word nft.
const NFTDeleteBackup = "delete table inet " + BackupName

// NFTCommand formats the commands of nft(8) that make the table, in place of one that exists, as one transaction, without the word
// nft.
func (b Backup) NFTCommand() string {
	of := func(kind, name string) string { return "add " + kind + " inet " + BackupName + " " + name }
	commands := []string{"add table inet " + BackupName, NFTDeleteBackup, "add table inet " + BackupName}
	if b.Restore {
		commands = append(commands, of("chain", BackupPre)+fmt.Sprintf(" { type filter hook prerouting priority %d; policy accept; }", BackupPrePriority))
	}
	commands = append(commands, of("chain", BackupPost)+fmt.Sprintf(" { type nat hook postrouting priority %d; policy accept; }", BackupPostPriority))
	for _, r := range b.PreRules() {
		text, _ := r.NFT(false) // of a kind that nftables has, as all below
		commands = append(commands, of("rule", BackupPre)+" "+text)
	}
	for _, ipv6 := range b.Families() {
		commands = append(commands, b.nftNAT(ipv6, of)...)
		commands = append(commands, of("rule", BackupPost)+" meta nfproto "+map[bool]string{false: "ipv4", true: "ipv6"}[ipv6]+" goto "+NFTChain(Masq, ipv6))
	}
	return strings.Join(commands, "; ")
}

// nftNAT formats the commands that make NATChains.
func (b Backup) nftNAT(ipv6 bool, of func(kind, name string) string) (commands []string) {
	var content []string
	for _, c := range b.NATChains(ipv6) {
		name := NFTChain(c.Name, ipv6)
		if !IsMap(c.Name) {
			commands = append(commands, of("chain", name))
		} else {
			commands = append(commands, of("map", name)+" { type "+nftKeyType(c.Name)+" : verdict; size "+strconv.Itoa(MapSize)+"; }")
		}
		var elements []string
		for _, r := range c.Rules {
			if IsMap(c.Name) {
				elements = append(elements, r.nftElement(ipv6))
				continue
			}
			text, _ := r.NFT(ipv6)
			content = append(content, of("rule", name)+" "+text)
		}
		if len(elements) > 0 {
			content = append(content, of("element", name)+" { "+strings.Join(elements, ", ")+" }")
		}
	}
	return append(commands, content...)
}
