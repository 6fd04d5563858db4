package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/test/box"
	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
	"replypath/uplinks/rpdb"
	"replypath/uplinks/rtnl"
)

// randomPolicies is the number of random routing policy databases, for each family, in which look-ups are compared with the
// kernel's, and packetsPerPolicy the number of packets looked up in each.
const (
	randomPolicies   = 1000
	packetsPerPolicy = 25
)

// policyHost is a host whose routing policy is set by lines for ip(8), again and again.
type policyHost struct {
	t      *testing.T
	host   *world.Host
	handle *rtnl.Handle
	family uplinks.Family
}

func newPolicyHost(t *testing.T, f uplinks.Family) *policyHost {
	t.Helper()
	w := world.New(t)
	m := &policyHost{t: t, host: w.Host("maze"), family: f}
	outside := w.Host("outside")
	for i := range 4 {
		l, _ := w.Join(m.host, fmt.Sprintf("eth%d", i), outside, fmt.Sprintf("eth%d", i))
		if i < 3 {
			l.Addr(fmt.Sprintf("198.18.%d.1/24", i), fmt.Sprintf("2001:db8:%d::1/64", i))
		}
		m.host.Run("ip", "link", "set", l.Name, "group", fmt.Sprint([]int{10, 10, 20, 0}[i]))
	}
	m.host.Do(func() {
		var err error
		if m.handle, err = rtnl.Open(0); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(m.handle.Close)
	return m
}

// set replaces all rules and routes by those of the lines. What the kernel refuses is left out.
func (m *policyHost) set(lines []string) {
	m.t.Helper()
	cmd := m.host.Command(m.t.Context(), "ip", fmt.Sprintf("-%d", m.family), "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(append(m.resetLines(), lines...), "\n") + "\n")
	cmd.Run()
}

// resetLines empties the tables that mazes use, and leaves of the rules those that the kernel begins with.
func (m *policyHost) resetLines() []string {
	lines := []string{"rule flush", "rule add priority 32766 lookup main"}
	for _, t := range policyTables {
		lines = append(lines, "route flush table "+t)
	}
	for link := range 4 {
		lines = append(lines, fmt.Sprintf("neigh replace %s dev eth%d lladdr 02:00:00:00:00:99 nud stale", policyGenerator{family: m.family}.gateway(link), link))
	}
	return append(lines, "route flush table main proto static")
}

// compare looks up a packet and returns the difference from the kernel's route, or why the kernel cannot be queried.
func (m *policyHost) compare(p rpdb.Packet) (differs, unaskable string) {
	m.t.Helper()
	m.host.Do(func() {
		about := []netip.Addr{p.To}
		if p.From.IsValid() {
			about = append(about, p.From)
		}
		differs, unaskable = m.compareIn(m.policyDatabase(about), p)
	})
	return differs, unaskable
}

// policyDatabase returns the rules, the routes and the checks of the calling thread's namespace, with what is known of the addresses.
func (m *policyHost) policyDatabase(about []netip.Addr) *rpdb.Database {
	m.t.Helper()
	d, err := m.handle.PolicyDatabase(m.t.Context(), m.family, about...)
	if err != nil {
		m.t.Fatal(err)
	}
	procfs.ReadInputChecks(d)
	return d
}

func (m *policyHost) compareIn(d *rpdb.Database, p rpdb.Packet) (differs, unaskable string) {
	m.t.Helper()
	if why := d.UnsupportedQuery(p); why != "" {
		return "", why
	}
	entry, _, err := m.handle.LookUpRoute(d, p.Query())
	if err != nil {
		m.t.Fatal(err)
	}
	j := d.LookUp(p)
	if j.ByHash {
		return "", "the hash decides"
	}
	return j.Difference(entry), ""
}

func TestExplainAgreesWithTheKernelOnRandomPolicies(t *testing.T) {
	t.Parallel()
	for _, f := range uplinks.Families {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			m, d := newPolicyHost(t, f), policyGenerator{box.SeededRand(t), f}
			counts := map[string]int{}
			for n := range randomPolicies {
				if n%20 == 0 {
					d.sysctls(m.host)
				}
				lines := d.lines()
				m.set(lines)
				m.compareAll(lines, d.packets(packetsPerPolicy), counts)
			}
			t.Logf("%v", counts)
			for _, kind := range []string{"route", "network is unreachable", "no route to host", "permission denied", "invalid argument", "suppressed", "jumped", "in"} {
				if counts[kind] < randomPolicies/10 {
					t.Errorf("%s came out %d times only: these mazes prove little", kind, counts[kind])
				}
			}
		})
	}
}

// compareAll compares all packets at once, reading the database once.
func (m *policyHost) compareAll(lines []string, packets []rpdb.Packet, counts map[string]int) {
	m.t.Helper()
	var about []netip.Addr
	for _, p := range packets {
		about = append(about, p.To)
		if p.From.IsValid() {
			about = append(about, p.From)
		}
	}
	m.host.Do(func() {
		d := m.policyDatabase(about)
		for _, p := range packets {
			differs, unaskable := m.compareIn(d, p)
			countOutcome(counts, d.LookUp(p), p, unaskable)
			if differs == "" {
				continue
			}
			// A neighbour's state can change between the reading and the look-up: what differs is compared once more, read anew.
			if differs, _ = m.compare(p); differs != "" {
				m.report(lines, p)
			}
		}
	})
}

// countOutcome notes what kinds of things happened.
func countOutcome(counts map[string]int, j rpdb.Result, p rpdb.Packet, unaskable string) {
	switch {
	case unaskable != "":
		counts["cannot be asked"]++
		counts["by hash"] += strings.Count(unaskable, "hash")
		return
	case j.OnLink:
		counts["on link"]++
	case j.Error != 0:
		counts[j.Error.Error()]++
	default:
		counts["route"]++
	}
	if p.In != "" {
		counts["in"]++
	}
	if j.Reverse != nil {
		counts["back"]++
	}
	for _, s := range j.Steps {
		switch s.Outcome {
		case rpdb.TooShort, rpdb.InGroup:
			counts["suppressed"]++
		default:
			counts[string(s.Outcome)]++
		}
	}
}

// report shrinks a case in which the look-up is wrong, line by line, and prints the rest.
func (m *policyHost) report(lines []string, p rpdb.Packet) {
	m.t.Helper()
	wrong := func(lines []string, p rpdb.Packet) bool {
		m.set(lines)
		differs, _ := m.compare(p)
		return differs != ""
	}
	for again := true; again; {
		again = false
		for i := 0; i < len(lines); i++ {
			if fewer := slices.Delete(slices.Clone(lines), i, i+1); wrong(fewer, p) {
				lines, again, i = fewer, true, i-1
			}
		}
	}
	for _, reduced := range simpler(p) {
		if wrong(lines, reduced) {
			p = reduced
			break
		}
	}
	m.set(lines)
	differs, _ := m.compare(p)
	m.t.Fatalf("%s\nip -%d route get %s\n%s\n%s", strings.Join(lines, "\n"), m.family, p, differs,
		m.host.Run("ip", fmt.Sprintf("-%d", m.family), "rule"))
}

// simpler returns packets with less to them.
func simpler(p rpdb.Packet) []rpdb.Packet {
	bare := rpdb.Packet{Family: p.Family, To: p.To, Proto: rpdb.UDP}
	in := bare
	in.In, in.From = p.In, p.From
	marked := in
	marked.Mark, marked.Out = p.Mark, p.Out
	return []rpdb.Packet{bare, in, marked}
}
