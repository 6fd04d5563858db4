package config

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"replypath/marks"
	"replypath/uplinks"
)

func TestPropose(t *testing.T) {
	c := Config{Settings: uplinks.DefaultSettings(), Probes: []Probe{{"lte", "dns", "icmp://203.0.113.9"}}}
	c.Inside = []string{"lan0"}
	up := lteUplink()
	up.Gateway6 = uplinks.Gateway{Addr: netip.MustParseAddr("fe80::1")}
	c.Uplinks = []uplinks.Uplink{up, {
		Name: "eth0", ID: 3, Link: "eth0", WhenDown: uplinks.Release,
		Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("198.51.100.1")},
	}}
	const want = `# Proposed.
inside     = [
  "lan0",
]

# By PPP,
# it seems.
[uplinks.lte]
id        = 2
interface = "wwan0"
gateway   = ["fe80::1", "auto"]

[uplinks.lte.probes.dns]
target    = "icmp://203.0.113.9"

[uplinks.eth0]
id        = 3
gateway   = "198.51.100.1"
when_down = "release"
`
	var got strings.Builder
	err := Propose(&got, c, map[string][]string{"": {"Proposed."}, "lte": {"By PPP,\nit seems."}})
	if diff := cmp.Diff(want, got.String()); diff != "" || err != nil {
		t.Errorf("Propose: %v (-want +got):\n%s", err, diff)
	}
}

func TestProposeReadsBack(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		c := random(r)
		var text strings.Builder
		if err := Propose(&text, c, map[string][]string{c.Uplinks[0].Name: {"a\rb\x00", `"""`, "\xff", "[x]\nid = 1"}}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(c, read(t, []byte(text.String())), byValue); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s\n%s", seed, diff, text.String())
		}
	}
}

func TestProposeRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*Config)
	}{
		{"no uplinks", func(c *Config) { c.Uplinks = nil }},
		{"no gateway", func(c *Config) { c.Uplinks[0].Gateway4, c.Uplinks[0].Gateway6 = uplinks.Gateway{}, uplinks.Gateway{} }},
		{"one family is learnt and the other left alone", func(c *Config) { c.Uplinks[0].Gateway6 = uplinks.Gateway{} }},
		{"a name that would end the table", func(c *Config) { c.Uplinks[0].Name = "a]\n[b" }},
		{"a probe of no uplink", func(c *Config) { c.Probes = []Probe{{"dsl", "dns", "gateway"}} }},
		{"the zero settings", func(c *Config) { c.Settings = uplinks.Settings{Uplinks: c.Uplinks} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := Config{Settings: uplinks.DefaultSettings()}
			c.Uplinks = []uplinks.Uplink{lteUplink()}
			test.spoil(&c)
			var text strings.Builder
			if err := Propose(&text, c, nil); err == nil || text.Len() > 0 {
				t.Errorf("Propose: %v and %q, want an error and nothing", err, text.String())
			}
		})
	}
}

// random is a configuration that is valid, and otherwise anything.
func random(r *rand.Rand) Config {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	c := Config{Settings: uplinks.DefaultSettings()}
	c.Mask = []marks.Mask{marks.DefaultMask, 0xff00, 0x80000000, 0xffffffff}[r.IntN(4)]
	c.Priority = uplinks.Priority(1 + r.IntN(maxPriority))
	c.TableBase = uplinks.Table(minTableBase + r.IntN(maxTableBase-minTableBase+1))
	c.Group = uplinks.Group(1 + r.IntN(1<<31-1))
	c.Backend = marks.Backend(pick("auto", "nft", "legacy"))
	for i := range r.IntN(40) {
		c.Inside = append(c.Inside, fmt.Sprintf("lan%d.%s", i, pick("a", "@b", "-c")))
	}
	for id := range c.Mask.MaxID() {
		if r.IntN(3) == 0 && id > 0 {
			continue
		}
		name := fmt.Sprintf("%s%d", pick("fibre", "_", "0-"), id)
		c.Uplinks = append(c.Uplinks, uplinks.Uplink{
			Name: name, ID: id + 1, Link: fmt.Sprint(pick("eth", "ppp"), id),
			WhenDown: uplinks.WhenDown(pick("hold", "release")),
		})
		randomGateways(r, &c.Uplinks[len(c.Uplinks)-1])
		for i := range r.IntN(3) {
			target := pick("gateway", "icmp://[2001:db8::9]", "tcp://a-b.example:53", "https://example.net/a?b='c'%22", "http://203.0.113.9:8080/")
			c.Probes = append(c.Probes, Probe{name, fmt.Sprint("p", i), target})
		}
	}
	return c
}

func randomGateways(r *rand.Rand, u *uplinks.Uplink) {
	v4 := uplinks.Gateway{Addr: netip.AddrFrom4([4]byte{198, 18, byte(r.Uint32()), byte(r.Uint32())})}
	v6 := uplinks.Gateway{Addr: netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(r.Uint32())})}
	auto := uplinks.Gateway{Auto: true}
	all := [][2]uplinks.Gateway{{v4, {}}, {{}, v6}, {v4, v6}, {auto, auto}, {auto, v6}, {v4, auto}}
	both := all[r.IntN(len(all))]
	u.Gateway4, u.Gateway6 = both[0], both[1]
}
