package health

import (
	"slices"
	"testing"

	"replypath/marks"
	"replypath/uplinks"
)

// pairSettings returns settings with two uplinks, as a node of a pair has them.
func pairSettings(first, second uplinks.Uplink) uplinks.Settings {
	s := uplinks.DefaultSettings()
	s.Uplinks = []uplinks.Uplink{first, second}
	return s
}

// The hash is compared between nodes of different versions: it is written out, so that no change goes unnoticed.
func TestFingerprintIsStable(t *testing.T) {
	here := NewFingerprint(pairSettings(uplinks.Uplink{Name: "isp0", ID: 1, Link: "eth0"}, uplinks.Uplink{Name: "isp1", ID: 2, Link: "eth1"}))
	if want := "9a4eac81de560981"; here.Value != want {
		t.Errorf("fingerprint %s, want %s", here.Value, want)
	}
	there := pairSettings(uplinks.Uplink{Name: "isp1", ID: 2, Link: "wan1"}, uplinks.Uplink{Name: "isp0", ID: 1, Link: "wan0"})
	there.Priority, there.Group, there.Backend = 5000, 7, marks.Legacy
	if other := NewFingerprint(there); other.Value != here.Value || len(here.Differences(other)) > 0 {
		t.Errorf("other interfaces, priorities, groups and backends: %s, differences %q", other.Value, here.Differences(other))
	}
}

func TestFingerprintsDifferByEachField(t *testing.T) {
	isp0, isp1 := uplinks.Uplink{Name: "isp0", ID: 1}, uplinks.Uplink{Name: "isp1", ID: 2}
	here := NewFingerprint(pairSettings(isp0, isp1))
	swapped0, swapped1, renamed := isp0, isp1, isp1
	swapped0.ID, swapped1.ID, renamed.Name = 2, 1, "lte"
	mask, tables := pairSettings(isp0, isp1), pairSettings(isp0, isp1)
	mask.Mask, tables.TableBase = 0xff00, 9000
	proxy := pairSettings(isp0, isp1)
	proxy.Interception = &uplinks.Interception{Bit: 0x10}
	for _, c := range []struct {
		there uplinks.Settings
		want  []string
	}{
		{pairSettings(swapped0, swapped1), []string{"id of uplink isp0: 1 here, 2 on the peer", "id of uplink isp1: 2 here, 1 on the peer"}},
		{pairSettings(isp0, renamed), []string{"uplink isp1 (id 2) is here only", "uplink lte (id 2) is on the peer only"}},
		{mask, []string{"mask: 0x1f00 here, 0xff00 on the peer", "outbound bit: 0x2000 here, 0x10000 on the peer"}},
		{proxy, []string{"bit of intercepted connections: none here, 0x10 on the peer"}},
		{tables, []string{"table_base: 8200 here, 9000 on the peer"}},
	} {
		there := NewFingerprint(c.there)
		if there.Value == here.Value {
			t.Errorf("%q: same hash", c.want)
		}
		if got := here.Differences(there); !slices.Equal(got, c.want) {
			t.Errorf("differences %q, want %q", got, c.want)
		}
	}
}
