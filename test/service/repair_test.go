package service

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"replypath/test/box"
	"replypath/test/world"
)

const (
	harms             = 500 // in both backends together
	maxHarmsPerObject = 3   // how often the same object is damaged: some damage needs two repairs, and the sixth in a minute counts as a conflict
	repairBound       = time.Second
	// On a machine that is busy, or slow, as many plans may be made meanwhile: they do what a repair does, and no more.
	repairPlans = 20
	// listingPause leaves a CPU to the repair, which the programs that list would take.
	listingPause = 5 * time.Millisecond
)

// randomDamage is a random damage, and to what.
type randomDamage struct{ command, object, section string }

// kernelListings are the listings of a gateway in which damage shows.
type kernelListings map[string]string

var listings = map[string][]string{
	"rules 4":  {"ip", "-4", "-N", "rule"},
	"rules 6":  {"ip", "-6", "-N", "rule"},
	"routes 4": {"ip", "-4", "-N", "route", "show", "table", "all"},
	"routes 6": {"ip", "-6", "-N", "route", "show", "table", "all"},
	"groups":   {"ip", "-o", "-N", "link"},
}

// listing returns one section, sorted where the kernel's order has no meaning.
func listing(b *box.Box, section string) string {
	b.T.Helper()
	command, fixed := listings[section]
	switch {
	case section == "sysctls":
		return sysctlsOfOurs(b)
	case !fixed:
		command = []string{b.IptablesName(int(section[len(section)-1]-'0')) + "-save", "-t", "mangle"}
	}
	text := strings.Split(box.Normalize(b.Gateway.Run(command[0], command[1:]...)), "\n")
	chain := func(line string) string {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "-A" {
			return "-A " + words[1]
		}
		return line
	}
	slices.SortStableFunc(text, func(x, y string) int { return strings.Compare(chain(x), chain(y)) })
	return strings.Join(text, "\n")
}

func sysctlsOfOurs(b *box.Box) string {
	var text strings.Builder
	keys := []string{"net.ipv4.tcp_fwmark_accept", "net.ipv4.fwmark_reflect", "net.ipv6.fwmark_reflect"}
	for _, u := range b.Uplinks {
		keys = append(keys, "net.ipv4.conf."+u.Link.Name+".src_valid_mark")
	}
	for _, key := range keys {
		text.WriteString(key + "=" + b.Gateway.Sysctl(key) + "\n")
	}
	return text.String()
}

func listKernel(b *box.Box) kernelListings {
	b.T.Helper()
	k := kernelListings{"sysctls": listing(b, "sysctls"), "chains 4": listing(b, "chains 4"), "chains 6": listing(b, "chains 6")}
	for section := range listings {
		k[section] = listing(b, section)
	}
	return k
}

// damagesTo returns damages to every step of a plan.
func damagesTo(b *box.Box, plan string) (all []randomDamage) {
	for line := range strings.Lines(plan) {
		line = strings.TrimSpace(line)
		family := "4"
		if strings.HasPrefix(line, "ip -6") || strings.HasPrefix(line, "ip6") {
			family = "6"
		}
		add := func(section, command string) { all = append(all, randomDamage{command, line, section}) }
		words := strings.Fields(line)
		switch {
		case strings.Contains(line, " rule add "):
			// What is deleted may be another rule of the same priority.
			priority := words[slices.Index(words, "priority")+1]
			all = append(all, randomDamage{strings.Replace(line, " rule add ", " rule del ", 1), family + " " + priority, "rules " + family})
		case strings.Contains(line, " route replace "):
			add("routes "+family, strings.Replace(line, " route replace ", " route del ", 1))
			if strings.Contains(line, " dev ") {
				add("routes "+family, line+" mtu 1400")
			}
		case strings.HasPrefix(line, "sysctl "):
			add("sysctls", "sysctl -q"+strings.TrimPrefix(strings.Replace(line, "=1", "=0", 1), "sysctl -"))
		case strings.Contains(line, " group "):
			add("groups", line[:strings.LastIndex(line, " ")]+" 0")
		}
	}
	for _, family := range []string{"4", "6"} {
		tool := b.IptablesName(int(family[0]-'0')) + " -w -t mangle "
		for _, command := range []string{
			"-D PREROUTING -j REPLYPATH-PRE", "-D OUTPUT -j REPLYPATH-OUT", "-D POSTROUTING 1", "-F REPLYPATH-NEW",
			"-F REPLYPATH-POST", "-F REPLYPATH-OUT", "-D REPLYPATH-PRE 2", "-D REPLYPATH-NEW 1", "-R REPLYPATH-NEW 2 -j RETURN", "-I REPLYPATH-OUT -j ACCEPT",
		} {
			all = append(all, randomDamage{tool + command, tool + strings.Fields(command)[1], "chains " + family})
		}
	}
	return all
}

// addForeignObjects adds foreign objects next to ours.
func addForeignObjects(b *box.Box) {
	b.T.Helper()
	for _, line := range []string{
		"ip rule add priority 2003 from 203.0.113.200 lookup main", "ip -6 rule add priority 2003 from 2001:db8:c::200 lookup main",
		"ip route add 203.0.113.128/25 dev eth1 table 8202 metric 77", "ip -6 route add 2001:db8:c:1::/64 dev eth1 table 8202 metric 77",
	} {
		b.Gateway.Run("sh", "-c", line)
	}
	for _, family := range []int{4, 6} {
		b.Iptables(family, "-t", "mangle", "-N", "THEIRS")
		b.Iptables(family, "-t", "mangle", "-A", "THEIRS", "-i", "lan0", "-j", "MARK", "--set-xmark", "0x80000/0x80000")
		b.Iptables(family, "-t", "mangle", "-A", "PREROUTING", "-j", "THEIRS")
		b.Iptables(family, "-t", "mangle", "-A", "OUTPUT", "-o", "lan0", "-j", "ACCEPT")
	}
}

func TestRandomDamageIsRepairedWithinASecond(t *testing.T) {
	box.EachBackend(t, func(t *testing.T, backend string) {
		t.Parallel()
		b := box.New(t, box.Conditions{RPFilter: 1}.Build(t, 6, world.Options{}), backend)
		chance := box.SeededRand(t)
		addForeignObjects(b)
		all := damagesTo(b, b.Must(3, "plan").Stdout)
		b.Start()
		b.AwaitInSync()
		whole := listKernel(b)
		var took box.Durations
		for harmed := map[string]int{}; len(took) < harms/len(box.Backends); {
			took = append(took, measureRepairs(t, b, whole, chooseDamages(chance, all, harmed))...)
		}
		bound := max(repairBound, repairPlans*planTime(b))
		t.Logf("%s: repaired in: %s; 99 of 100 within %s", backend, took, bound)
		if p99 := took.Percentile(99); p99 > bound {
			t.Errorf("99 of 100 repairs take up to %s", p99)
		}
		for section, before := range whole {
			if now := listing(b, section); now != before {
				t.Errorf("%s were\n%s\nand are\n%s", section, before, now)
			}
		}
		b.Must(0, "plan")
	})
}

// planTime measures how long the program takes on this machine, as busy as it is now, to find nothing to repair.
func planTime(b *box.Box) time.Duration {
	var took box.Durations
	for range 5 {
		began := time.Now()
		b.Must(0, "plan")
		took = append(took, time.Since(began))
	}
	return took.Percentile(100)
}

// chooseDamages chooses one to three, of different sections, none of them so often that it counts as a conflict.
func chooseDamages(chance *rand.Rand, all []randomDamage, harmed map[string]int) (chosen []randomDamage) {
	for _, i := range chance.Perm(len(all)) {
		h := all[i]
		taken := slices.ContainsFunc(chosen, func(c randomDamage) bool { return c.section == h.section })
		if taken || harmed[h.object] == maxHarmsPerObject {
			continue
		}
		harmed[h.object]++
		if chosen = append(chosen, h); chance.IntN(3) == 0 || len(chosen) == 3 {
			break
		}
	}
	if len(chosen) == 0 {
		panic("there is nothing left to damage")
	}
	return chosen
}

// measureRepairs does damage and measures how long each section takes to be repaired.
func measureRepairs(t *testing.T, b *box.Box, whole kernelListings, harms []randomDamage) (took box.Durations) {
	t.Helper()
	began := map[string]time.Time{}
	for _, h := range harms {
		began[h.section] = time.Now()
		b.Gateway.Run("sh", "-c", h.command)
	}
	for len(began) > 0 {
		for section, since := range began {
			now := listing(b, section)
			if now == whole[section] {
				took = append(took, time.Since(since))
				delete(began, section)
			} else if time.Since(since) > box.EventualTimeout {
				t.Fatalf("not repaired after %v: %s were\n%s\nand are\n%s", harms, section, whole[section], now)
			}
		}
		time.Sleep(listingPause)
	}
	return took
}
