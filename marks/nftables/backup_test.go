package nftables_test

import (
	"net/netip"
	"testing"

	"replypath/marks"
	"replypath/marks/nftables"
	"replypath/test/world"
)

// backupOf returns the definition with two uplinks, one of which has no IPv6, for the address of the first.
func backupOf(addr string) marks.Backup {
	b := marks.NewBackup(marks.DefaultMask, 0x2000, 8200, []marks.Egress{
		{Link: "eth0", Mark: 0x100, Sources: []netip.Prefix{netip.MustParsePrefix(addr), netip.MustParsePrefix("203.0.113.64/28")}},
		{Link: "wan-0.100", Mark: 0x200},
	}, []marks.Egress{{Link: "eth0", Mark: 0x100, Sources: []netip.Prefix{netip.MustParsePrefix("2001:db8:a::/64")}}})
	b.IPsec = true
	return b
}

// backupHost is a host with the table.
type backupHost struct {
	t *testing.T
	*world.Host
	table nftables.Backup
}

func (h *backupHost) call(f func() error) {
	h.t.Helper()
	var err error
	if h.Do(func() { err = f() }); err != nil {
		h.t.Fatal(err)
	}
}

// want compares the table with a definition.
func (h *backupHost) want(what string, b marks.Backup, exists, matches bool) {
	h.t.Helper()
	var e, m bool
	h.call(func() (err error) { e, m, err = h.table.Read(b); return err })
	if e != exists || m != matches {
		h.t.Errorf("%s: exists %t, matches %t", what, e, m)
	}
}

func TestBackupIsReadAsItWasWritten(t *testing.T) {
	for _, restore := range []bool{false, true} {
		h := &backupHost{t: t, Host: world.New(t).Host("gw")}
		b, other := backupOf("198.51.100.0/24"), backupOf("198.51.100.7/32")
		b.Restore, other.Restore, b.IPsec, other.IPsec = restore, restore, restore, restore
		h.want("nothing", b, false, false)
		h.call(h.table.Delete)
		h.call(func() error { return h.table.Check(b) })
		h.want("after a check", b, false, false)
		h.call(func() error { return h.table.Set(other) })
		h.want("another network", b, true, false)
		h.call(func() error { return h.table.Set(b) })
		h.want("replaced", b, true, true)
		for _, damage := range []string{
			"flush chain inet replypath-backup ip-nat1",
			"delete element inet replypath-backup ip-nat-map { eth0 }",
			"flush table inet replypath-backup",
			"insert rule inet replypath-backup postrouting accept",
			"add chain inet replypath-backup more",
			"add table inet replypath-backup { flags dormant; }",
		} {
			h.Run("nft", damage)
			h.want(damage, b, true, false)
			h.call(func() error { return h.table.Set(b) })
			h.want("after the repair of "+damage, b, true, true)
		}
		for range 2 { // in place of the other one too
			h.Run("nft", b.NFTCommand())
			h.want("by nft", b, true, true)
		}
		h.Run("nft", other.NFTCommand())
		h.want("another one by nft", b, true, false)
		h.Run("nft", marks.NFTDeleteBackup)
		h.want("deleted by nft", b, false, false)
	}
}

// A protected table outlives flushes and its owner, and is changed and deleted by its owner and by the next one.
func TestProtectedBackupCannotBeFlushed(t *testing.T) {
	h := &backupHost{t: t, Host: world.New(t).Host("gw")}
	b, other := backupOf("198.51.100.0/24"), backupOf("198.51.100.7/32")
	protect := func(on bool) { h.call(func() error { return h.table.Protect(on) }) }
	h.call(func() error { return h.table.Set(b) })
	protect(true)
	h.want("not protected yet", b, true, false)
	h.call(func() error { return h.table.Set(b) })
	h.want("protected", b, true, true)
	h.Run("nft", "flush", "ruleset")
	h.want("after a flush", b, true, true)
	var refused error
	h.Do(func() { refused = (&nftables.Backup{}).Set(other) })
	if refused == nil {
		t.Error("another program has changed the table")
	}
	h.call(func() error { return h.table.Set(other) })
	h.want("changed by its owner", other, true, true)
	protect(false)
	h.want("after the end of its owner", other, true, true)
	protect(true)
	h.call(func() error { return h.table.Set(b) })
	h.Run("nft", "flush", "ruleset")
	h.want("of the next owner", b, true, true)
	h.call(h.table.Delete)
	h.want("deleted", b, false, false)
	protect(false)
}

func TestBackupCanBeReadBack(t *testing.T) {
	b := backupOf("198.51.100.0/24")
	again := marks.NewBackup(b.Mask, b.Flag, b.Group, b.Egress(false), b.Egress(true))
	if again.IPsec = b.IPsec; again != b {
		t.Errorf("read back it is %v, want %v", again, b)
	}
	of := marks.BackupOf(b.Mask, b.Flag, b.NATChains(false), b.NATChains(true))
	if of.Group = b.Group; of != b {
		t.Errorf("of its own chains it is %v, want %v", of, b)
	}
	if all := b.Egress(false); len(all) != 2 || len(all[0].Sources) != 2 || all[1].Mark != 0x200 || len(all[1].Sources) != 0 {
		t.Errorf("the egress links are %v", all)
	}
}
