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

// crowds are sets of 1 to 255 links with ids and names of many kinds, as hosts have them and as nobody would choose.
func crowds(r *rand.Rand) (all [][]marks.Ingress) {
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
					links = append(links, marks.Ingress{Link: name, Mark: wide.Mark(marks.ID(id + 1))})
				}
			}
			all = append(all, links)
		}
	}
	return all
}

// wide has room for every id.
const wide marks.Mask = 0xff00

func TestEveryLinkOfACrowdGivesItsMark(t *testing.T) {
	for _, links := range crowds(random(t)) {
		chains := marks.Chains(wide, group, links)
		for _, link := range links {
			p := markstest.Packet{In: link.Link, Group: group, Dir: "ORIGINAL"}
			if got := p.Through(chains, marks.Pre); got.Ctmark != uint32(link.Mark) {
				t.Fatalf("%d links: a question by %s: %+v, want the mark %s", len(links), link.Link, got, link.Mark)
			}
			for _, stranger := range []string{link.Link + "x", link.Link[:len(link.Link)-1], "x" + link.Link} {
				if slices.ContainsFunc(links, func(l marks.Ingress) bool { return l.Link == stranger }) {
					continue
				}
				p.In = stranger
				if got := p.Through(chains, marks.Pre); got.Ctmark != 0 {
					t.Fatalf("%d links: a question by %s: %+v, and nobody has that name", len(links), stranger, got)
				}
			}
		}
	}
}

var post = marks.Hooks[2]

func TestFirstRepliesAreCountedByUplinkAndWhereTheyLeave(t *testing.T) {
	for _, links := range crowds(random(t)) {
		chains := marks.Chains(wide, group, links)
		for i, link := range links {
			counter := marks.Counter(wide.ID(link.Mark))
			for out, want := range map[string]string{
				link.Link:                    counter + " 1",
				"lan0":                       counter + " 2",
				"lo":                         marks.Post + " 2",
				strings.Repeat("z", 15):      counter + " 2",
				link.Link[:len(link.Link)-1]: counter + " 2",
			} {
				p := markstest.Packet{Out: out, Dir: "REPLY", Ctmark: uint32(link.Mark) | 0xa000000a}
				if got := p.By(chains, post); got.Took != want {
					t.Fatalf("%d links: a reply of %s by %s was counted by %s, want %s", len(links), link.Link, out, got.Took, want)
				}
			}
			if other := links[(i+1)%len(links)].Link; other != link.Link {
				p := markstest.Packet{Out: other, Dir: "REPLY", Ctmark: uint32(link.Mark)}
				if got := p.By(chains, post); got.Took != counter+" 2" {
					t.Fatalf("%d links: a reply of %s by %s was counted by %s", len(links), link.Link, other, got.Took)
				}
			}
			for p, want := range map[markstest.Packet]string{
				{Out: link.Link, Dir: "REPLY", Ctmark: uint32(link.Mark), Assured: true}: "",
				{Out: link.Link, Dir: "ORIGINAL", Ctmark: uint32(link.Mark)}:             "",
				{Out: link.Link, Dir: "REPLY", Ctmark: 0xffff00ff}:                       marks.Post + " 1",
			} {
				if got := p.By(chains, post); got.Took != want {
					t.Fatalf("%+v was taken by %q, want %q", p, got.Took, want)
				}
			}
		}
	}
}

func TestCountersAreKnownByTheirNames(t *testing.T) {
	for id := 1; id <= marks.MaxID; id++ {
		if got, ok := marks.CountedIn(marks.Counter(marks.ID(id))); !ok || got != marks.ID(id) {
			t.Errorf("%s counts for %d, %v", marks.Counter(marks.ID(id)), got, ok)
		}
	}
	for _, name := range []string{marks.Post, marks.Prefix + "S", marks.Prefix + "S0", marks.Prefix + "S256", marks.Prefix + "S07", "S7", "XREPLYPATH-S7", marks.Prefix + "S7x"} {
		if id, ok := marks.CountedIn(name); ok {
			t.Errorf("%s counts for %d", name, id)
		}
	}
}

// One uplink's change leaves alone what others' packets meet: their counters always, and of the chains that give marks
// all but those that the change makes longer or shorter.
func TestOneLinkChangesFewChains(t *testing.T) {
	r := random(t)
	for _, links := range crowds(r) {
		if len(links) < 2 {
			continue
		}
		at := r.IntN(len(links))
		gone, fewer := links[at], slices.Delete(slices.Clone(links), at, at+1)
		with, without := texts(marks.Chains(wide, group, links)), texts(marks.Chains(wide, group, fewer))
		for name, text := range with {
			_, counts := marks.CountedIn(name)
			switch {
			case counts && name != marks.Counter(wide.ID(gone.Mark)) && without[name] != text:
				t.Errorf("without %s %s changes, and so forgets", gone.Link, name)
			case (name == marks.Pre || name == marks.Out) && without[name] != text:
				t.Errorf("without %s %s changes", gone.Link, name)
			}
		}
	}
	links := links(wide, 255)
	with, without := texts(marks.Chains(wide, group, links)), texts(marks.Chains(wide, group, links[:254]))
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(with)) {
		if with[name] != without[name] {
			changed = append(changed, name)
		}
	}
	if want := []string{"REPLYPATH-B15", "REPLYPATH-N-eth25", "REPLYPATH-S255"}; !slices.Equal(changed, want) {
		t.Errorf("without the last of 255 links these change: %v, want %v", changed, want)
	}
}

func texts(chains []marks.Chain) map[string]string {
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

func TestFirstPacketsMeetFewRulesHoweverManyUplinks(t *testing.T) {
	links := links(wide, 255)
	chains := marks.Chains(wide, group, links)
	for _, link := range links {
		p := markstest.Packet{In: link.Link, Group: group, Dir: "ORIGINAL"}
		if got := p.Through(chains, marks.Pre); got.Met > 32 {
			t.Errorf("a question by %s meets %d rules", link.Link, got.Met)
		}
		p = markstest.Packet{Out: link.Link, Dir: "REPLY", Ctmark: uint32(link.Mark)}
		if got := p.By(chains, post); got.Met > 36 {
			t.Errorf("a first reply by %s meets %d rules", link.Link, got.Met)
		}
	}
}

func TestChainsHaveNamesThatIptablesTakes(t *testing.T) {
	const longest = 28
	for _, links := range crowds(random(t)) {
		names := map[string]bool{}
		for _, c := range marks.Chains(wide, group, links) {
			if len(c.Name) > longest || !strings.HasPrefix(c.Name, marks.Prefix) || names[c.Name] {
				t.Errorf("chain %q, %d characters, the name taken: %v", c.Name, len(c.Name), names[c.Name])
			}
			names[c.Name] = true
			for _, r := range c.Rules {
				if got, err := marks.Parse(r.String()); err != nil || got != r {
					t.Errorf("%s: %q reads back as %+v, %v", c.Name, r, got, err)
				}
				if len(r.In) > 15 {
					t.Errorf("%s: %q is no name of a link", c.Name, r.In)
				}
			}
		}
	}
}
