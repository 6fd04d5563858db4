package marks_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/marks/markstest"
)

// linkSets returns sets of 1 to 255 links with realistic and adversarial ids and names.
func linkSets(r *rand.Rand) (all [][]marks.Ingress) {
	forms := []func(i int) string{
		func(i int) string { return fmt.Sprintf("eth%d", i) },
		func(i int) string { return fmt.Sprintf("enp%ds0f%d.%d", i/16, i/4%4, 2000+i) },
		func(i int) string { return strings.Repeat("a", 1+i%15) + strings.Repeat("b", i/15%(15-i%15)) },
		func(i int) string { return fmt.Sprintf("%c%c", 'a'+i%26, 'a'+i/26) },
		func(i int) string { return fmt.Sprintf("wwan0@+-._%d", r.IntN(100000)) },
	}
	for _, n := range []int{1, 2, 15, 16, 17, 31, 32, 100, 250, 255} {
		for _, form := range forms {
			ids := r.Perm(255)[:n]
			slices.Sort(ids)
			names := map[string]bool{}
			var links []marks.Ingress
			for _, id := range ids {
				if name := form(id); !names[name] {
					names[name] = true
					links = append(links, marks.Ingress{Link: name, Mark: wideMask.Mark(marks.ID(id + 1))})
				}
			}
			all = append(all, links)
		}
	}
	return all
}

// wideMask has marks for all ids.
const wideMask marks.Mask = 0xff00

func TestEveryLinkOfManySetsItsMark(t *testing.T) {
	for _, links := range linkSets(seededRand(t)) {
		chains := marks.Chains(wideMask, group, false, links)
		for _, link := range links {
			p := markstest.Packet{In: link.Link, Group: group, Dir: "ORIGINAL"}
			if got := p.Traverse(chains, marks.Pre); got.Ctmark != uint32(link.Mark) {
				t.Fatalf("%d links: a packet on %s: %+v, want the mark %s", len(links), link.Link, got, link.Mark)
			}
			for _, unknown := range []string{link.Link + "x", link.Link[:len(link.Link)-1], "x" + link.Link} {
				if slices.ContainsFunc(links, func(l marks.Ingress) bool { return l.Link == unknown }) {
					continue
				}
				p.In = unknown
				if got := p.Traverse(chains, marks.Pre); got.Ctmark != 0 {
					t.Fatalf("%d links: a packet on %s, which is no uplink: %+v", len(links), unknown, got)
				}
			}
		}
	}
}

var postroutingHook = marks.Hooks[2]

func TestFirstRepliesAreCountedByUplinkAndEgress(t *testing.T) {
	for _, links := range linkSets(seededRand(t)) {
		chains := marks.Chains(wideMask, group, false, links)
		for i, link := range links {
			counter := marks.CounterChain(wideMask.ID(link.Mark))
			for out, want := range map[string]string{
				link.Link:                    counter + " 1",
				"lan0":                       counter + " 2",
				"lo":                         marks.Post + " 2",
				strings.Repeat("z", 15):      counter + " 2",
				link.Link[:len(link.Link)-1]: counter + " 2",
			} {
				p := markstest.Packet{Out: out, Dir: "REPLY", Ctmark: uint32(link.Mark) | 0xa000000a}
				if got := p.TraverseHook(chains, postroutingHook); got.MatchedBy != want {
					t.Fatalf("%d links: a reply of %s by %s was counted by %s, want %s", len(links), link.Link, out, got.MatchedBy, want)
				}
			}
			inbound := markstest.Packet{In: link.Link, Out: "lan0", Dir: "REPLY", Ctmark: uint32(link.Mark)}
			if got := inbound.TraverseHook(chains, postroutingHook); strings.HasPrefix(got.MatchedBy, counter+" ") {
				t.Fatalf("%d links: what came in by %s was counted by %s as a reply", len(links), link.Link, got.MatchedBy)
			}
			if other := links[(i+1)%len(links)].Link; other != link.Link {
				p := markstest.Packet{Out: other, Dir: "REPLY", Ctmark: uint32(link.Mark)}
				if got := p.TraverseHook(chains, postroutingHook); got.MatchedBy != counter+" 2" {
					t.Fatalf("%d links: a reply of %s by %s was counted by %s", len(links), link.Link, other, got.MatchedBy)
				}
			}
			for p, want := range map[markstest.Packet]string{
				{Out: link.Link, Dir: "REPLY", Ctmark: uint32(link.Mark), Assured: true}: "",
				{Out: link.Link, Dir: "ORIGINAL", Ctmark: uint32(link.Mark)}:             "",
				{Out: link.Link, Dir: "REPLY", Ctmark: 0xffff00ff}:                       marks.Post + " 1",
			} {
				if got := p.TraverseHook(chains, postroutingHook); got.MatchedBy != want {
					t.Fatalf("%+v was taken by %q, want %q", p, got.MatchedBy, want)
				}
			}
		}
	}
}

func TestParseCounterChain(t *testing.T) {
	for id := 1; id <= marks.MaxID; id++ {
		if got, ok := marks.ParseCounterChain(marks.CounterChain(marks.ID(id))); !ok || got != marks.ID(id) {
			t.Errorf("%s counts for %d, %v", marks.CounterChain(marks.ID(id)), got, ok)
		}
	}
	for _, name := range []string{marks.Post, marks.Prefix + "S", marks.Prefix + "S0", marks.Prefix + "S256", marks.Prefix + "S07", "S7", "XREPLYPATH-S7", marks.Prefix + "S7x"} {
		if id, ok := marks.ParseCounterChain(name); ok {
			t.Errorf("%s counts for %d", name, id)
		}
	}
}

// Removing a link never changes the counters of other uplinks, and of the dispatch chains only those that become
// shorter.
func TestRemovingOneLinkChangesFewChains(t *testing.T) {
	r := seededRand(t)
	for _, links := range linkSets(r) {
		if len(links) < 2 {
			continue
		}
		at := r.IntN(len(links))
		gone, fewer := links[at], slices.Delete(slices.Clone(links), at, at+1)
		with, without := chainTexts(marks.Chains(wideMask, group, false, links)), chainTexts(marks.Chains(wideMask, group, false, fewer))
		for name, text := range with {
			_, counts := marks.ParseCounterChain(name)
			switch {
			case counts && name != marks.CounterChain(wideMask.ID(gone.Mark)) && without[name] != text:
				t.Errorf("without %s %s changes, and so forgets", gone.Link, name)
			case (name == marks.Pre || name == marks.Out) && without[name] != text:
				t.Errorf("without %s %s changes", gone.Link, name)
			}
		}
	}
	links := links(wideMask, 255)
	with, without := chainTexts(marks.Chains(wideMask, group, false, links)), chainTexts(marks.Chains(wideMask, group, false, links[:254]))
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(with)) {
		if with[name] != without[name] {
			changed = append(changed, name)
		}
	}
	if want := []string{"REPLYPATH-B15", "REPLYPATH-M63", "REPLYPATH-N-eth25", "REPLYPATH-S255"}; !slices.Equal(changed, want) {
		t.Errorf("without the last of 255 links these change: %v, want %v", changed, want)
	}
}

func chainTexts(chains []marks.Chain) map[string]string {
	all := map[string]string{}
	for _, c := range chains {
		var b strings.Builder
		for _, r := range c.Rules {
			b.WriteString(r.String() + "\n")
		}
		all[c.Name] = b.String()
	}
	return all
}

func TestFirstPacketRuleCountIsBounded(t *testing.T) {
	links := links(wideMask, 255)
	chains := marks.Chains(wideMask, group, false, links)
	for _, link := range links {
		p := markstest.Packet{In: link.Link, Group: group, Dir: "ORIGINAL"}
		if got := p.Traverse(chains, marks.Pre); got.RulesEvaluated > 39 {
			t.Errorf("a packet on %s is tested by %d rules", link.Link, got.RulesEvaluated)
		}
		p = markstest.Packet{Out: link.Link, Dir: "REPLY", Ctmark: uint32(link.Mark)}
		if got := p.TraverseHook(chains, postroutingHook); got.RulesEvaluated > 36 {
			t.Errorf("a first reply by %s is tested by %d rules", link.Link, got.RulesEvaluated)
		}
	}
}

func TestChainNamesAreValidForIptables(t *testing.T) {
	const longest = 28
	for _, links := range linkSets(seededRand(t)) {
		names := map[string]bool{}
		for _, c := range marks.Chains(wideMask, group, false, links) {
			if len(c.Name) > longest || !strings.HasPrefix(c.Name, marks.Prefix) || names[c.Name] {
				t.Errorf("chain %q, %d characters, the name taken: %v", c.Name, len(c.Name), names[c.Name])
			}
			names[c.Name] = true
			for _, r := range c.Rules {
				if got, err := marks.ParseRule(r.String()); err != nil || got != r {
					t.Errorf("%s: %q reads back as %+v, %v", c.Name, r, got, err)
				}
				if len(r.In) > 15 {
					t.Errorf("%s: %q is no name of a link", c.Name, r.In)
				}
			}
		}
	}
}
