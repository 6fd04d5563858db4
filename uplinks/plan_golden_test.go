package uplinks_test

import (
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/uplinkstest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestPlanMatchesGoldenFiles compares the plans for a host with two uplinks in both families. Review a change of the files
// line by line.
func TestPlanMatchesGoldenFiles(t *testing.T) {
	both := uplinkstest.Settings()
	one := both
	one.Uplinks = both.Uplinks[:1]
	for _, c := range []struct {
		file     string
		from, to uplinks.Settings
	}{
		{"apply.txt", uplinks.Settings{}, both},
		{"second-uplink.txt", one, both},
		{"remove-uplink.txt", both, one},
		{"flush.txt", both, uplinks.Settings{}},
		{"intercept.txt", both, withIntercepts(both)},
	} {
		t.Run(c.file, func(t *testing.T) {
			compareGoldenPlan(t, c.file, c.from, c.to)
		})
	}
}

// withIntercepts returns the settings with transparent proxies for what comes in by an uplink, and from a LAN.
func withIntercepts(s uplinks.Settings) uplinks.Settings {
	s.Interception = &uplinks.Interception{Bit: uplinks.DefaultInterceptBit, Intercepts: []uplinks.Intercept{
		{Name: "dns", Links: []string{"lan0"}, Protocols: []string{"tcp", "udp"}, Ports: []marks.PortRange{{First: 53, Last: 53}}, Port: 50053, Without: uplinks.DropNew},
		{Name: "web", Links: []string{"eth0", "lan0"}, Protocols: []string{"tcp"}, Ports: []marks.PortRange{{First: 80, Last: 80}, {First: 8000, Last: 8080}},
			Sources: uplinks.NetworkList{Out: []netip.Prefix{netip.MustParsePrefix("198.18.0.9/32")}}, Port: 50080, Without: uplinks.Pass},
	}}
	return s
}

// compareGoldenPlan compares the plan from one configuration to another with a file, and returns the kernel before the plan.
func compareGoldenPlan(t *testing.T, file string, from, to uplinks.Settings) *uplinkstest.Fake {
	t.Helper()
	facts := uplinkstest.Facts()
	facts.IPsec = map[uplinks.Family]bool{uplinks.IPv4: true, uplinks.IPv6: true}
	k := uplinkstest.NewFake(facts)
	if _, err := uplinks.Sync(t.Context(), k, from); err != nil {
		t.Fatal(err)
	}
	plan, _, err := uplinks.Preview(t.Context(), k, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "testdata/"+file, plan.String())
	return k
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", file, diff)
	}
}

func TestPlanOfManyUplinksExplainsBucketsOnce(t *testing.T) {
	for n, want := range map[int]int{1: 0, 3: 0, 4: 1, 255: 1} {
		s, facts := uplinkstest.ManyUplinks(n, nil)
		text := uplinks.Diff(uplinks.Desired(s, facts, nil), uplinks.NewState()).String()
		if got := strings.Count(text, "\n# "); got != want || !strings.Contains(text, "goto") {
			t.Errorf("%d uplinks: %d comments, want %d", n, got, want)
		}
	}
}
