package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"replypath/marks"
	"replypath/marks/xtables"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
)

// firewall is the mangle tables of the families that the kernel speaks, in both backends.
type firewall struct {
	families map[uplinks.Family]xtables.Tables
	backend  marks.Backend           // chosen
	both     bool                    // others have rules in both, and the operator has not chosen
	dead     map[marks.Backend]error // why a backend cannot be used
}

func openFirewall(ctx context.Context, want marks.Backend) (firewall, error) {
	fw := firewall{families: map[uplinks.Family]xtables.Tables{}}
	for _, f := range uplinks.Families {
		if f == uplinks.IPv6 && !procfs.IPv6() {
			continue
		}
		ts, err := xtables.Open(ctx, f == uplinks.IPv6)
		if err != nil {
			return fw, fmt.Errorf("%s: %w", f, err)
		}
		fw.families[f] = ts
	}
	return fw, fw.choose(ctx, want)
}

// choose settles which backend is used. A backend that the kernel does not have is not looked at again; one that it has
// and that cannot be read may hold rules, ours too.
func (fw *firewall) choose(ctx context.Context, want marks.Backend) error {
	c := choice{want: want, usual: fw.families[uplinks.IPv4].Default}
	var sure bool
	c.nft, sure, c.noNFT = fw.use(ctx, marks.NFT)
	c.legacy, _, c.noLegacy = fw.use(ctx, marks.Legacy)
	if !sure && c.hinges() {
		c.nft, c.noNFT = fw.saved(ctx, marks.NFT)
	}
	for _, err := range []error{c.noNFT, c.noLegacy} {
		if want == marks.Auto && err != nil && !errors.Is(err, xtables.ErrMissing) {
			return err
		}
	}
	fw.backend, fw.both = c.made()
	fw.dead = map[marks.Backend]error{marks.NFT: c.noNFT, marks.Legacy: c.noLegacy}
	if err := fw.dead[fw.backend]; err != nil {
		return err
	}
	return fw.exists()
}

// exists makes sure that the chosen backend has its commands for every family.
func (fw *firewall) exists() error {
	for f := range fw.families {
		if fw.table(f, fw.backend) == nil {
			return fmt.Errorf("%s: no iptables command for the backend %q: %w: install the package iptables, or set backend = \"auto\"",
				f, fw.backend, xtables.ErrNotFound)
		}
	}
	return nil
}

// use is whose rules a backend holds, and whether that is sure.
func (fw *firewall) use(ctx context.Context, b marks.Backend) (all xtables.Use, sure bool, err error) {
	sure = true
	err = fw.each(b, func(t *xtables.Table) error {
		u, known, err := t.InUse(ctx)
		all, sure = all.And(u), sure && known
		return err
	})
	return all, sure, err
}

// saved is what use is, by the save commands.
func (fw *firewall) saved(ctx context.Context, b marks.Backend) (all xtables.Use, err error) {
	err = fw.each(b, func(t *xtables.Table) error {
		u, err := t.Saved(ctx)
		all = all.And(u)
		return err
	})
	return all, err
}

// each goes through a backend's tables.
func (fw *firewall) each(b marks.Backend, do func(*xtables.Table) error) error {
	for f := range fw.families {
		if t := fw.table(f, b); t != nil {
			if err := do(t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (fw *firewall) table(f uplinks.Family, b marks.Backend) *xtables.Table {
	if b == marks.NFT {
		return fw.families[f].NFT
	}
	return fw.families[f].Legacy
}

func tool(f uplinks.Family, t *xtables.Table) uplinks.Tool {
	return uplinks.Tool{Family: f, Backend: t.Backend, Command: t.Command}
}

// read lists what is ours in both backends, as what is in the one that is not used must go.
func (fw *firewall) read(ctx context.Context, facts *uplinks.Facts, have *uplinks.State) error {
	facts.Both = fw.both
	for _, f := range uplinks.Families {
		ts, spoken := fw.families[f]
		if !spoken {
			continue
		}
		facts.Tools[f] = tool(f, fw.table(f, fw.backend))
		for _, t := range []*xtables.Table{ts.NFT, ts.Legacy} {
			if t == nil || t.Absent() || fw.dead[t.Backend] != nil {
				continue
			}
			if err := readTable(ctx, f, t, have); err != nil {
				return err
			}
		}
	}
	return nil
}

func readTable(ctx context.Context, f uplinks.Family, t *xtables.Table, have *uplinks.State) error {
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

// load changes a table. One that was not there before us goes when the last of ours has gone, if nothing else is in it.
func (h *Host) load(ctx context.Context, s uplinks.LoadChains) error {
	t := h.firewall.table(s.Tool.Family, s.Tool.Backend)
	if t == nil {
		return errors.New("no such iptables command")
	}
	h.tallies.mu.Lock()
	defer h.tallies.mu.Unlock()
	h.tallies.renew(s)
	return h.wrote.during(t, func() error { return h.loadInto(ctx, t, s) })
}

func (h *Host) loadInto(ctx context.Context, t *xtables.Table, s uplinks.LoadChains) error {
	name := tableName(s.Tool.Family, s.Tool.Backend)
	if s.Unload {
		return h.unload(ctx, t, name, s.Text)
	}
	there, err := t.Made()
	if err != nil {
		return err
	}
	if there {
		return t.Load(ctx, s.Text)
	}
	if err := h.found.noteTable(name); err != nil {
		return err
	}
	if err := t.Load(ctx, s.Text); err != nil {
		return errors.Join(err, h.unmake(t, name))
	}
	return nil
}

// unmake takes a table away that a command left empty when it failed. One that was cut off may have done its work: then
// the table stays, and the note of it too.
func (h *Host) unmake(t *xtables.Table, name string) error {
	if err := t.Unmake(); err != nil {
		return err
	}
	if there, err := t.Made(); there || err != nil {
		return err
	}
	return h.found.forgetTable(name)
}

func (h *Host) unload(ctx context.Context, t *xtables.Table, name, text string) error {
	if err := t.Load(ctx, text); err != nil {
		return err
	}
	if !slices.Contains(h.found.Made, name) {
		return nil
	}
	if err := t.Unmake(); err != nil {
		return err
	}
	return h.found.forgetTable(name)
}
