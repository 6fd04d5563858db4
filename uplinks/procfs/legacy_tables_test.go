package procfs_test

import (
	"testing"

	"replypath/marks/netfilter"
	"replypath/test/world"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
)

// A table of the legacy backend is seen in the family that has it, also by files that were open before.
func TestLegacyTablesAreSeenOnceTheyExist(t *testing.T) {
	world.New(t).Host("gw").Do(func() {
		var tables procfs.LegacyTables
		defer tables.Close()
		for range 2 {
			if tables.Exist(uplinks.IPv4) || tables.Exist(uplinks.IPv6) {
				t.Fatal("a new namespace has tables")
			}
		}
		if _, err := netfilter.ReadLegacyTable("mangle", true); err != nil { // the kernel makes it
			t.Fatal(err)
		}
		if tables.Exist(uplinks.IPv4) || !tables.Exist(uplinks.IPv6) {
			t.Errorf("IPv4 %t, IPv6 %t, want the table of IPv6 alone", tables.Exist(uplinks.IPv4), tables.Exist(uplinks.IPv6))
		}
	})
}
