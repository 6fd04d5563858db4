package uplinks

import "replypath/marks"

// The table of marks.Backup is there while a family is translated. It changes no packet as long as the chains of outbound
// connections are whole.

// Backup returns the table of the settings, with the uplinks that are left out too: what the kernel has is compared with it
// before it is known which those are. With Protect no other program can change it; then it also restores the marks that iptables
// gives, which is not needed where the table of the chains is protected itself. ok is false when no family is translated.
func (s Settings) Backup(f Facts) (b marks.Backup, ok bool) {
	s = s.ResolveLinks(f)
	if !s.Outbound.Enabled() {
		return b, false
	}
	egress, ipsec := map[Family][]marks.Egress{}, false
	for _, family := range s.outboundFamilies(f) {
		if s.Outbound.Masquerade.In(family) {
			egress[family], ipsec = outbound{s, f, nil, family, nil}.egress(), ipsec || f.IPsec[family]
		}
	}
	b = marks.NewBackup(s.Mask, s.OutboundFlag(), uint32(s.Group), egress[IPv4], egress[IPv6])
	b.IPsec = ipsec
	for _, firewall := range f.Firewalls {
		b.Restore = b.Restore || s.Protect && firewall.Backend != marks.Nftables
	}
	return b, len(b.Families()) > 0
}

// BackupOfChains returns the table that belongs to the chains of the state. ok is false when no family is translated.
func (s State) BackupOfChains() (b marks.Backup, ok bool) {
	chains := map[Family][]marks.Chain{}
	var mask, flag marks.Mask
	for _, k := range s.SortedChains() {
		if marks.TableOf(k.Name) != marks.MasqTable {
			continue
		}
		rules := s.Chains[k].Rules
		chains[k.Firewall.Family] = append(chains[k.Firewall.Family], marks.Chain{Name: k.Name, Rules: rules})
		for _, r := range rules {
			switch m := r.Ctmark; {
			case m.Mark != 0:
				flag = m.Mask
			case m.Mask != 0:
				mask = m.Mask
			}
		}
	}
	if mask == 0 {
		return b, false
	}
	b = marks.BackupOf(mask, flag, chains[IPv4], chains[IPv6])
	return b, len(b.Families()) > 0
}

// addBackup adds the table.
func addBackup(want State, s Settings, f Facts) {
	if f.BackupRefused != "" {
		return
	}
	if b, ok := s.Backup(f); ok {
		want.Backup[b] = true
	}
}

// backupSteps returns the steps for the table. One that differs is replaced.
func backupSteps(want, have State) (set, del Plan) {
	missing, _ := delta(want.Backup, have.Backup, oneKey)
	for _, b := range missing {
		if b != (marks.Backup{}) { // to what was damaged before no change goes back
			set = append(set, SetBackup{Table: b})
		}
	}
	if len(want.Backup) == 0 && len(have.Backup) > 0 {
		del = Plan{DelBackup{}}
	}
	return set, del
}

// SetBackup makes the table, in place of one that exists.
type SetBackup struct {
	chainsStep
	Table marks.Backup
}

// DelBackup deletes the table.
type DelBackup struct{ chainsStep }

// String returns the command of nft.
func (s SetBackup) String() string { return "nft '" + s.Table.NFTCommand() + "'" }

// String returns the command of nft.
func (DelBackup) String() string { return "nft '" + marks.NFTDeleteBackup + "'" }

// Removes reports false.
func (SetBackup) Removes() bool { return false }

// Removes reports true.
func (DelBackup) Removes() bool { return true }

// WriteTo makes the table.
func (s SetBackup) WriteTo(w Writer) { w.SetBackup(s.Table) }

// WriteTo deletes the table.
func (DelBackup) WriteTo(w Writer) { w.DelBackup() }
