package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// TestExplainFollowsNexthopObjects compares routes by one nexthop object, by a group and by a blackhole object, also when the
// kernel dumps only the id of their object.
func TestExplainFollowsNexthopObjects(t *testing.T) {
	t.Parallel()
	for _, f := range uplinks.Families {
		t.Run(f.String(), func(t *testing.T) {
			m, d := newPolicyHost(t, f), policyGenerator{family: f}
			to := policyPrefixes[f][5:8]
			m.set([]string{
				"nexthop add id 7 " + d.hop(1), "nexthop add id 8 " + d.hop(2), "nexthop add id 10 blackhole",
				"route add " + to[0] + " nhid 7 table 101", "route add " + to[2] + " nhid 10 table 103",
				"rule add priority 100 fwmark 1 lookup 101", "rule add priority 100 fwmark 2 lookup 102 suppress_ifgroup 77", "rule add priority 100 fwmark 3 lookup 103",
			})
			m.host.Run("ip", "nexthop", "add", "id", "9", "group", "7,1/8,3")
			m.host.Run("ip", fmt.Sprintf("-%d", f), "route", "add", to[1], "nhid", "9", "table", "102")
			for _, compat := range []string{"1", "0"} {
				m.host.SetSysctl("net.ipv4.nexthop_compat_mode", compat)
				var results []string
				for i, prefix := range to {
					p := rpdb.Packet{Family: f, To: netip.MustParsePrefix(prefix).Addr().Next(), Mark: uint32(i + 1), Proto: rpdb.UDP}
					if prefix := netip.MustParsePrefix(prefix); prefix.IsSingleIP() {
						p.To = prefix.Addr()
					}
					if differs, unaskable := m.compare(p); differs+unaskable != "" {
						t.Errorf("compat %s, %s: %s%s", compat, p, differs, unaskable)
					}
					results = append(results, m.walkResult(p))
				}
				for i, want := range []string{"nhid 7 via " + d.gateway(1) + " dev eth1", "nhid 9 nexthop via " + d.gateway(1) + " dev eth1", "invalid argument"} {
					if !strings.Contains(results[i], want) {
						t.Errorf("compat %s: %s, want %s", compat, results[i], want)
					}
				}
				if !strings.Contains(results[1], fmt.Sprintf("nexthop via %s dev eth2", d.gateway(2))) || !slices.ContainsFunc(results, func(s string) bool { return strings.Contains(s, "weight 3") }) {
					t.Errorf("compat %s: the group reads as %s", compat, results[1])
				}
			}
		})
	}
}

// walkResult returns the result of the look-up.
func (m *policyHost) walkResult(p rpdb.Packet) (result string) {
	m.t.Helper()
	m.host.Do(func() {
		d, err := m.handle.PolicyDatabase(m.t.Context(), m.family, p.To)
		if err != nil {
			m.t.Fatal(err)
		}
		j := d.LookUp(p)
		if result = j.Error.Error(); j.Error == 0 {
			result = j.Route.String()
		}
	})
	return result
}
