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
	s := uplinks.DefaultSettings()
	s.Inside = []string{"lan0"}
	up := lteUplink()
	up.Gateway6 = uplinks.Gateway{Addr: netip.MustParseAddr("fe80::1")}
	s.Uplinks = []uplinks.Uplink{up, {
		Name: "eth0", ID: 3, Link: "eth0", WhenDown: uplinks.Release,
		Gateway4: uplinks.Gateway{Addr: netip.MustParseAddr("198.51.100.1")},
	}, {Name: "dsl", ID: 5, Link: "dsl", WhenDown: uplinks.Hold, Gateway4: uplinks.Gateway{Auto: true}}}
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
#[uplinks.lte.probes.internet]
#target   = "icmp://HOST"           # a host beyond the gateway that answers pings

[uplinks.eth0]
id        = 3
gateway   = "198.51.100.1"
when_down = "release"
#[uplinks.eth0.probes.internet]
#target   = "icmp://HOST"           # a host beyond the gateway that answers pings

[uplinks.dsl]
id        = 5
gateway   = "auto-ipv4"
#[uplinks.dsl.probes.internet]
#target   = "icmp://HOST"           # a host beyond the gateway that answers pings

# A VPN.
#[uplinks.wg0]
#id        = 4
#gateway   = "auto"
`
	auto := uplinks.Gateway{Auto: true}
	vpn := uplinks.Uplink{Name: "wg0", ID: 4, Link: "wg0", WhenDown: uplinks.Hold, Gateway4: auto, Gateway6: auto}
	var got strings.Builder
	err := Propose(&got, s, map[string][]string{"": {"Proposed."}, "lte": {"By PPP,\nit seems."}, "wg0": {"A VPN."}}, vpn)
	if diff := cmp.Diff(want, got.String()); diff != "" || err != nil {
		t.Errorf("Propose: %v (-want +got):\n%s", err, diff)
	}
}

func TestProposeReadsBack(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := randomSettings(r)
		var text strings.Builder
		if err := Propose(&text, s, map[string][]string{s.Uplinks[0].Name: {"a\rb\x00", `"""`, "\xff", "[x]\nid = 1"}}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(s, readText(t, []byte(text.String())).Settings, byValue); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s\n%s", seed, diff, text.String())
		}
	}
}

func TestProposeRejectsUnwritableSettings(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*uplinks.Settings)
	}{
		{"no uplinks", func(s *uplinks.Settings) { s.Uplinks = nil }},
		{"no gateway", func(s *uplinks.Settings) {
			s.Uplinks[0].Gateway4, s.Uplinks[0].Gateway6 = uplinks.Gateway{}, uplinks.Gateway{}
		}},
		{"a name that would end the table", func(s *uplinks.Settings) { s.Uplinks[0].Name = "a]\n[b" }},
		{"the zero settings", func(s *uplinks.Settings) { *s = uplinks.Settings{Uplinks: s.Uplinks} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := uplinks.DefaultSettings()
			s.Uplinks = []uplinks.Uplink{lteUplink()}
			test.spoil(&s)
			var text strings.Builder
			if err := Propose(&text, s, nil); err == nil || text.Len() > 0 {
				t.Errorf("Propose: %v and %q, want an error and nothing", err, text.String())
			}
		})
	}
}

// randomSettings returns random valid settings.
func randomSettings(r *rand.Rand) uplinks.Settings {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	s := uplinks.DefaultSettings()
	s.Mask = []marks.Mask{marks.DefaultMask, 0xff00, 0x80000000, 0xffffffff}[r.IntN(4)]
	s.Priority = 1 + uplinks.Priority(r.IntN(int(maxPriority)))
	s.TableBase = minTableBase + uplinks.Table(r.IntN(int(maxTableBase-minTableBase)+1))
	s.Group = uplinks.Group(1 + r.IntN(1<<31-1))
	s.Backend = marks.Backend(pick("auto", "nft", "legacy"))
	for i := range r.IntN(40) {
		s.Inside = append(s.Inside, fmt.Sprintf("lan%d.%s", i, pick("a", "@b", "-c")))
	}
	for id := range s.Mask.MaxID() {
		if r.IntN(3) == 0 && id > 0 {
			continue
		}
		s.Uplinks = append(s.Uplinks, uplinks.Uplink{
			Name: fmt.Sprintf("%s%d", pick("fibre", "_", "0-"), id), ID: id + 1, Link: fmt.Sprint(pick("eth", "ppp"), id),
			WhenDown: uplinks.WhenDown(pick("hold", "release")),
		})
		randomGateways(r, &s.Uplinks[len(s.Uplinks)-1])
	}
	return s
}

func randomGateways(r *rand.Rand, u *uplinks.Uplink) {
	v4 := uplinks.Gateway{Addr: netip.AddrFrom4([4]byte{198, 18, byte(r.Uint32()), byte(r.Uint32())})}
	v6 := uplinks.Gateway{Addr: netip.AddrFrom16([16]byte{0xfe, 0x80, 15: byte(r.Uint32())})}
	auto := uplinks.Gateway{Auto: true}
	all := [][2]uplinks.Gateway{{v4, {}}, {{}, v6}, {v4, v6}, {auto, auto}, {auto, v6}, {v4, auto}, {auto, {}}, {{}, auto}}
	both := all[r.IntN(len(all))]
	u.Gateway4, u.Gateway6 = both[0], both[1]
}
