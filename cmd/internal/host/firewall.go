package host

import (
	"context"
	"errors"
	"fmt"

	"replypath/marks"
	"replypath/marks/dnat"
	"replypath/marks/foreign"
	"replypath/marks/iptables"
	"replypath/marks/nftables"
	"replypath/uplinks"
	"replypath/uplinks/procfs"
)

// backends are the backends in the order in which they are read.
var backends = [...]marks.Backend{marks.NFT, marks.Legacy, marks.Nftables}

// Firewall has the firewalls of all address families that the kernel supports: nftables, and every backend of iptables
// that is installed.
type Firewall struct {
	families       map[uplinks.Family]map[marks.Backend]marks.Firewall
	sources        []foreign.Source        // of other programs' rules
	commandDefault marks.Backend           // of the command iptables; none where a family has no such command
	backend        marks.Backend           // the chosen one
	othersInBoth   bool                    // other programs have rules in both, and the operator has not chosen
	unusable       map[marks.Backend]error // why a backend cannot be used
	native         *nftables.Firewall      // that of IPv4
	unprotected    string                  // why its table is not protected, although it should be
}

// OpenFirewall finds the firewalls of the host and chooses the backend: want, or for marks.Auto the one in use.
func OpenFirewall(ctx context.Context, want marks.Backend) (Firewall, error) {
	fw := Firewall{families: map[uplinks.Family]map[marks.Backend]marks.Firewall{}}
	native4, native6 := nftables.New()
	fw.native = native4
	native := map[uplinks.Family]marks.Firewall{uplinks.IPv4: native4, uplinks.IPv6: native6}
	for _, f := range uplinks.Families {
		if f == uplinks.IPv6 && !procfs.IPv6() {
			continue
		}
		tables, err := iptables.Open(ctx, f == uplinks.IPv6)
		if err != nil && (want == marks.NFT || want == marks.Legacy || !iptables.AreMissing(err)) {
			return fw, fmt.Errorf("%s: %w", f, err)
		}
		fw.add(f, tables)
		fw.families[f][marks.Nftables] = native[f]
	}
	return fw, fw.choose(ctx, want)
}

func (fw *Firewall) add(f uplinks.Family, tables iptables.Tables) {
	fw.families[f] = map[marks.Backend]marks.Firewall{}
	for _, t := range []*iptables.Table{tables.NFT, tables.Legacy} {
		if t != nil {
			fw.families[f][t.Backend()] = t
			fw.sources = append(fw.sources, t)
		}
	}
	if f == uplinks.IPv4 || tables.Default == "" {
		fw.commandDefault = tables.Default
	}
}

// choose sets the backend. A backend that the kernel lacks is not read again. One that the kernel has and that cannot
// be read is an error, as it may hold rules of replypath.
func (fw *Firewall) choose(ctx context.Context, want marks.Backend) error {
	c := backendChoice{configured: want, commandDefault: fw.commandDefault}
	native, _, nativeErr := fw.owners(ctx, marks.Nftables)
	c.native = native.Ours
	var sure bool
	c.nft, sure, c.nftErr = fw.owners(ctx, marks.NFT)
	c.legacy, _, c.legacyErr = fw.owners(ctx, marks.Legacy)
	if !sure && c.dependsOnOthersInNFT() {
		c.nft, c.nftErr = fw.savedOwners(ctx, marks.NFT)
	}
	for _, err := range []error{c.nftErr, c.legacyErr, nativeErr} {
		if want == marks.Auto && err != nil && !errors.Is(err, marks.ErrUnsupported) {
			return err
		}
	}
	fw.backend, fw.othersInBoth = c.resolve()
	fw.unusable = map[marks.Backend]error{marks.NFT: c.nftErr, marks.Legacy: c.legacyErr, marks.Nftables: nativeErr}
	if err := fw.unusable[fw.backend]; err != nil {
		return err
	}
	return fw.checkCommands()
}

// checkCommands returns an error if a family lacks the commands of the chosen backend.
func (fw *Firewall) checkCommands() error {
	for f := range fw.families {
		if fw.table(f, fw.backend) == nil {
			return fmt.Errorf("%s: no iptables command for the backend %q: %w: install the package iptables, or set backend = \"auto\" or \"nftables\"",
				f, fw.backend, marks.ErrNotFound)
		}
	}
	return nil
}

// owners returns whose rules a backend holds, and whether that is certain.
func (fw *Firewall) owners(ctx context.Context, b marks.Backend) (all marks.Owners, sure bool, err error) {
	sure = true
	err = fw.eachTable(b, func(t marks.Firewall) error {
		u, known, err := t.Owners(ctx)
		all, sure = all.Merge(u), sure && known
		return err
	})
	return all, sure, err
}

// savedOwners returns the owners by the output of the save commands, which is reliable.
func (fw *Firewall) savedOwners(ctx context.Context, b marks.Backend) (all marks.Owners, err error) {
	err = fw.eachTable(b, func(t marks.Firewall) error {
		u, err := t.SavedOwners(ctx)
		all = all.Merge(u)
		return err
	})
	return all, err
}

// eachTable calls do with a backend's firewall of each family, until an error.
func (fw *Firewall) eachTable(b marks.Backend, do func(marks.Firewall) error) error {
	for f := range fw.families {
		if t := fw.table(f, b); t != nil {
			if err := do(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// table returns the family's firewall in a backend, or nil.
func (fw *Firewall) table(f uplinks.Family, b marks.Backend) marks.Firewall { return fw.families[f][b] }

func firewallKey(f uplinks.Family, t marks.Firewall) uplinks.FirewallKey {
	return uplinks.FirewallKey{Family: f, Backend: t.Backend(), Command: t.Command()}
}

// watch reports the changes that the kernel announces. They concern the whole network namespace, so any firewall can
// report them.
func (fw *Firewall) watch(ctx context.Context, changed func(marks.Process)) error {
	for _, b := range backends {
		if t := fw.table(uplinks.IPv4, b); t != nil {
			return t.Watch(ctx, changed)
		}
	}
	return marks.ErrNotFound
}

// Read adds the chains and hooks of replypath in all backends to the state: those in a backend that is not chosen are
// to be deleted.
func (fw *Firewall) Read(ctx context.Context, facts *uplinks.Facts, have *uplinks.State) error {
	facts.MixedBackends, facts.Unprotected = fw.othersInBoth, fw.unprotected
	for _, f := range uplinks.Families {
		if _, supported := fw.families[f]; !supported {
			continue
		}
		facts.Firewalls[f] = firewallKey(f, fw.table(f, fw.backend))
		if err := fw.readMACBits(ctx, f, facts); err != nil {
			return err
		}
		for _, b := range backends {
			t := fw.table(f, b)
			if t == nil || t.Absent() || fw.unusable[b] != nil {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := readTable(ctx, f, t, have); err != nil {
				return err
			}
		}
	}
	return nil
}

// readMACBits adds whether many routers can be compared in a tree. Without them it starts no process.
func (fw *Firewall) readMACBits(ctx context.Context, f uplinks.Family, facts *uplinks.Facts) error {
	if len(facts.FoundRouters) <= marks.MaxLinear {
		return nil
	}
	has, err := fw.table(f, fw.backend).HasMACBits(ctx)
	if facts.MACBits == nil {
		facts.MACBits = map[uplinks.Family]bool{}
	}
	facts.MACBits[f] = has
	return err
}

// readIPsec adds whether rules can match what an IPsec policy transforms, in the families whose sources are translated. Without
// translation it starts no process.
func (fw *Firewall) readIPsec(ctx context.Context, translated uplinks.Masquerade, facts *uplinks.Facts) error {
	facts.IPsec = map[uplinks.Family]bool{}
	for f := range facts.Firewalls {
		if !translated.In(f) {
			continue
		}
		has, err := fw.table(f, fw.backend).HasIPsec(ctx)
		if err != nil {
			return err
		}
		facts.IPsec[f] = has
	}
	return nil
}

func readTable(ctx context.Context, f uplinks.Family, t marks.Firewall, have *uplinks.State) error {
	r, err := t.Read(ctx)
	if err != nil {
		return err
	}
	for name, rules := range r.Chains {
		have.Chains[uplinks.ChainKey{Firewall: firewallKey(f, t), Name: name}] = rules
	}
	for h, s := range r.Hooks {
		have.Hooks[uplinks.HookKey{Firewall: firewallKey(f, t), Hook: h}] = s
	}
	return nil
}

// CheckExtensions returns an error for each family that lacks a match or target extension, by the family.
func (fw *Firewall) CheckExtensions(ctx context.Context) map[uplinks.Family]error {
	missing := map[uplinks.Family]error{}
	for f := range fw.families {
		t := fw.table(f, fw.backend)
		if t == nil || t.Absent() {
			continue
		}
		if err := t.CheckSupport(ctx); err != nil {
			missing[f] = err
		}
	}
	return missing
}

// ForeignRules reads the rules that other programs wrote, in both backends.
func (fw *Firewall) ForeignRules(ctx context.Context) ([]foreign.Rule, error) {
	return foreign.Read(ctx, fw.sources...)
}

// DestinationNAT reads the rules by which other programs translate destinations, in both backends and in tables of nftables.
func (fw *Firewall) DestinationNAT(ctx context.Context) (dnat.Rules, error) {
	return dnat.Read(ctx, fw.sources...)
}
