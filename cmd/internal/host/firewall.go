package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"replypath/marks"
	"replypath/marks/iptables"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
)

// Firewall is the mangle tables of the families that the kernel speaks, in both backends.
type Firewall struct {
	families     map[uplinks.Family]iptables.Tables
	backend      marks.Backend           // chosen
	othersInBoth bool                    // others have rules in both, and the operator has not chosen
	unusable     map[marks.Backend]error // why a backend cannot be used
}

func OpenFirewall(ctx context.Context, want marks.Backend) (Firewall, error) {
	fw := Firewall{families: map[uplinks.Family]iptables.Tables{}}
	for _, f := range uplinks.Families {
		if f == uplinks.IPv6 && !procfs.IPv6() {
			continue
		}
		ts, err := iptables.Open(ctx, f == uplinks.IPv6)
		if err != nil {
			return fw, fmt.Errorf("%s: %w", f, err)
		}
		fw.families[f] = ts
	}
	return fw, fw.choose(ctx, want)
}

// choose settles which backend is used. A backend that the kernel does not have is not looked at again; one that it has
// and that cannot be read may hold rules, ours too.
func (fw *Firewall) choose(ctx context.Context, want marks.Backend) error {
	c := backendChoice{configured: want, commandDefault: fw.families[uplinks.IPv4].Default}
	var sure bool
	c.nft, sure, c.nftErr = fw.inUse(ctx, marks.NFT)
	c.legacy, _, c.legacyErr = fw.inUse(ctx, marks.Legacy)
	if !sure && c.dependsOnOthersInNFT() {
		c.nft, c.nftErr = fw.inUseBySave(ctx, marks.NFT)
	}
	for _, err := range []error{c.nftErr, c.legacyErr} {
		if want == marks.Auto && err != nil && !errors.Is(err, iptables.ErrMissing) {
			return err
		}
	}
	fw.backend, fw.othersInBoth = c.resolve()
	fw.unusable = map[marks.Backend]error{marks.NFT: c.nftErr, marks.Legacy: c.legacyErr}
	if err := fw.unusable[fw.backend]; err != nil {
		return err
	}
	return fw.checkCommands()
}

// checkCommands makes sure that the chosen backend has its commands for every family.
func (fw *Firewall) checkCommands() error {
	for f := range fw.families {
		if fw.table(f, fw.backend) == nil {
			return fmt.Errorf("%s: no iptables command for the backend %q: %w: install the package iptables, or set backend = \"auto\"",
				f, fw.backend, iptables.ErrNotFound)
		}
	}
	return nil
}

// inUse is whose rules a backend holds, and whether that is sure.
func (fw *Firewall) inUse(ctx context.Context, b marks.Backend) (all iptables.Owners, sure bool, err error) {
	sure = true
	err = fw.eachTable(b, func(t *iptables.Table) error {
		u, known, err := t.Owners(ctx)
		all, sure = all.Merge(u), sure && known
		return err
	})
	return all, sure, err
}

// inUseBySave is what use is, by the save commands.
func (fw *Firewall) inUseBySave(ctx context.Context, b marks.Backend) (all iptables.Owners, err error) {
	err = fw.eachTable(b, func(t *iptables.Table) error {
		u, err := t.SavedOwners(ctx)
		all = all.Merge(u)
		return err
	})
	return all, err
}

// eachTable goes through a backend's tables.
func (fw *Firewall) eachTable(b marks.Backend, do func(*iptables.Table) error) error {
	for f := range fw.families {
		if t := fw.table(f, b); t != nil {
			if err := do(t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (fw *Firewall) table(f uplinks.Family, b marks.Backend) *iptables.Table {
	if b == marks.NFT {
		return fw.families[f].NFT
	}
	return fw.families[f].Legacy
}

func tool(f uplinks.Family, t *iptables.Table) uplinks.Tool {
	return uplinks.Tool{Family: f, Backend: t.Backend, Command: t.Command}
}

// Read lists what is ours in both backends, as what is in the one that is not used must go.
func (fw *Firewall) Read(ctx context.Context, facts *uplinks.Facts, have *uplinks.State) error {
	facts.MixedBackends = fw.othersInBoth
	for _, f := range uplinks.Families {
		ts, spoken := fw.families[f]
		if !spoken {
			continue
		}
		facts.Tools[f] = tool(f, fw.table(f, fw.backend))
		for _, t := range []*iptables.Table{ts.NFT, ts.Legacy} {
			if t == nil || t.Absent() || fw.unusable[t.Backend] != nil {
				continue
			}
			if err := readTable(ctx, f, t, have); err != nil {
				return err
			}
		}
	}
	return nil
}

func readTable(ctx context.Context, f uplinks.Family, t *iptables.Table, have *uplinks.State) error {
	c, err := t.Read(ctx)
	if err != nil {
		return err
	}
	for name, rules := range c.Chains {
		have.Chains[uplinks.ChainKey{Tool: tool(f, t), Name: name}] = rules
	}
	for h, s := range c.Hooks {
		have.Hooks[uplinks.HookKey{Tool: tool(f, t), Hook: h}] = s
	}
	return nil
}

// loadChains changes a table. One that was not there before us goes when the last of ours has gone, if nothing else is in it.
func (h *Host) loadChains(ctx context.Context, s uplinks.LoadChains) error {
	t := h.firewall.table(s.Tool.Family, s.Tool.Backend)
	if t == nil {
		return errors.New("no such iptables command")
	}
	h.counters.mu.Lock()
	defer h.counters.mu.Unlock()
	h.counters.resetDeclared(s)
	return h.ownGenerations.track(t, func() error { return h.loadTable(ctx, t, s) })
}

func (h *Host) loadTable(ctx context.Context, t *iptables.Table, s uplinks.LoadChains) error {
	name := tableName(s.Tool.Family, s.Tool.Backend)
	if s.Unload {
		return h.unloadTable(ctx, t, name, s.Text)
	}
	exists, err := t.Exists()
	if err != nil {
		return err
	}
	if exists {
		return t.Load(ctx, s.Text)
	}
	if err := h.originals.AddTable(name); err != nil {
		return err
	}
	if err := t.Load(ctx, s.Text); err != nil {
		return errors.Join(err, h.deleteTable(t, name))
	}
	return nil
}

// deleteTable takes a table away that a command left empty when it failed. One that was cut off may have done its work: then
// the table stays, and the note of it too.
func (h *Host) deleteTable(t *iptables.Table, name string) error {
	if err := t.DeleteEmpty(); err != nil {
		return err
	}
	if exists, err := t.Exists(); exists || err != nil {
		return err
	}
	return h.originals.DropTable(name)
}

func (h *Host) unloadTable(ctx context.Context, t *iptables.Table, name, text string) error {
	if err := t.Load(ctx, text); err != nil {
		return err
	}
	if !h.originals.HasTable(name) {
		return nil
	}
	if err := t.DeleteEmpty(); err != nil {
		return err
	}
	return h.originals.DropTable(name)
}

// CheckExtensions returns an error for each family that lacks a match or target extension, by the family.
func (fw *Firewall) CheckExtensions(ctx context.Context) map[uplinks.Family]error {
	missing := map[uplinks.Family]error{}
	for f := range fw.families {
		t := fw.table(f, fw.backend)
		if t == nil || t.Absent() {
			continue
		}
		if err := t.CheckExtensions(ctx); err != nil {
			missing[f] = err
		}
	}
	return missing
}

// ForeignRules reads the rules that other programs wrote, in both backends.
func (fw *Firewall) ForeignRules(ctx context.Context) ([]marks.ForeignRule, error) {
	return iptables.ForeignRules(ctx, slices.Collect(maps.Values(fw.families))...)
}

// DropOriginals removes all saved originals, after a flush: each one is restored, or another program has changed the
// value since. It deletes the tables that replypath made and an interrupted flush left empty.
func (h *Host) DropOriginals() error {
	var errs []error
	for f, tables := range h.firewall.families {
		for _, t := range []*iptables.Table{tables.NFT, tables.Legacy} {
			if t != nil && h.originals.HasTable(tableName(f, t.Backend)) {
				errs = append(errs, t.DeleteEmpty())
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return h.originals.Clear()
}

// tableName returns the name of a firewall table in the saved originals.
func tableName(f uplinks.Family, b marks.Backend) string { return fmt.Sprintf("%s %s", f, b) }
