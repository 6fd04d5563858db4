package iptables

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"replypath/marks"
)

// probeChain is an unused chain that tests whether a rule can be loaded.
const probeChain = marks.Prefix + "TRY"

// extension is a match or target of the rules: the shortest rule that needs it, and its kernel module.
type extension struct{ name, rule, module string }

var extensions = []extension{
	{"match devgroup", "-m devgroup --src-group 0x1", "xt_devgroup"},
	{"match mark", "-m mark ! --mark 0x0/0x1", "xt_mark"},
	{"match connmark", "-m connmark --mark 0x0/0x1", "xt_connmark"},
	{"match conntrack", "-m conntrack --ctdir REPLY", "xt_conntrack"},
	{"target CONNMARK", "-j CONNMARK --restore-mark --nfmask 0x1 --ctmask 0x1", "xt_connmark"},
}

// interceptExtensions are those that only interception needs.
var interceptExtensions = []extension{
	{"match addrtype", "-m addrtype ! --src-type LOCAL", "xt_addrtype"},
	{"match multiport", "-p tcp -m multiport --dports 80", "xt_multiport"},
	{"target MARK", "-j MARK --set-xmark 0x1/0x1", "xt_mark"},
	{"target TPROXY", "-p tcp -j TPROXY --on-port 1 --tproxy-mark 0x1/0x1", "xt_TPROXY"},
}

// macExtension and macBitExtension are those that only several uplinks on one link need, and many routers on it. ipsecExtension is of
// the translation of sources.
var (
	macExtension    = extension{"match mac", marks.Rule{MAC: "02:00:00:00:00:01"}.String(), "xt_mac"}
	macBitExtension = extension{"match bpf", marks.Rule{MACBit: 1}.String(), "xt_bpf"}
	ipsecExtension  = extension{"match policy", marks.Rule{IPsec: true}.String(), "xt_policy"}
)

func (e extension) String() string { return fmt.Sprintf("%s (module %s)", e.name, e.module) }

// probe returns the restore input that creates probeChain with one rule of each extension.
func probe(extensions ...extension) string {
	chain := marks.ChainChange{Name: probeChain, Create: true}
	for _, e := range extensions {
		chain.Rules = append(chain.Rules, marks.Rule{Opaque: e.rule})
	}
	return marks.Change{Chains: []marks.ChainChange{chain}}.Restore()
}

// missing returns those of the extensions that load refuses, comma-separated.
func missing(extensions []extension, load func(e extension) error) string {
	var names []string
	for _, e := range extensions {
		if load(e) != nil {
			names = append(names, e.String())
		}
	}
	return strings.Join(names, ", ")
}

// findMissing returns an error that names the extensions that the kernel or iptables lacks, after a restore failed by
// err.
func (t *Table) findMissing(ctx context.Context, err error) error {
	if failed := t.restore(ctx, probe()); failed != nil {
		return fmt.Errorf("%w: the kernel has no %s table for the backend %s: load its module, or choose the other backend", failed, marks.MangleTable, t.backend)
	}
	names := missing(slices.Concat(extensions, interceptExtensions, []extension{macExtension, macBitExtension}), func(e extension) error {
		if err := t.restore(ctx, probe(e)); errors.Is(err, marks.ErrUnsupported) {
			return err
		}
		return nil
	})
	remove := marks.Change{Chains: []marks.ChainChange{{Name: probeChain}}, Delete: []string{probeChain}}
	if t.restore(ctx, remove.Restore()) != nil || names == "" {
		return err
	}
	return fmt.Errorf("%s: %w: %s: load the module with modprobe, or install the kernel's extra modules", t.command, marks.ErrUnsupported, names)
}

// CheckSupport returns a marks.ErrUnsupported that names the extensions that the kernel or iptables lacks. It loads
// nothing.
func (t *Table) CheckSupport(ctx context.Context) error {
	err := t.testRestore(ctx, probe(extensions...))
	if !errors.Is(err, marks.ErrUnsupported) {
		return err
	}
	names := missing(extensions, func(e extension) error { return t.testRestore(ctx, probe(e)) })
	if names == "" {
		return err
	}
	return fmt.Errorf("%s: %w: %s", t.command, marks.ErrUnsupported, names)
}

// HasMACBits reports whether the kernel and iptables have the match bpf. It asks once.
func (t *Table) HasMACBits(ctx context.Context) (bool, error) {
	return t.has(ctx, macBitExtension, &t.macBits)
}

// HasIPsec reports whether the kernel and iptables have the match policy. It asks once.
func (t *Table) HasIPsec(ctx context.Context) (bool, error) {
	return t.has(ctx, ipsecExtension, &t.ipsec)
}

// has reports whether the kernel and iptables have the extension, which known keeps.
func (t *Table) has(ctx context.Context, e extension, known **bool) (bool, error) {
	if *known == nil {
		err := t.testRestore(ctx, probe(e))
		if err != nil && !errors.Is(err, marks.ErrUnsupported) {
			return false, err
		}
		has := err == nil
		*known = &has
	}
	return **known, nil
}

// testRestore parses the input by the restore command without loading it. A missing kernel module is then only a
// warning of iptables, which testRestore returns as an error.
func (t *Table) testRestore(ctx context.Context, input string) error {
	stderr, err := t.runRestore(ctx, input, "--test")
	if err == nil && strings.Contains(stderr, "missing kernel module") {
		return fmt.Errorf("%s: %w (%s)", t.command, marks.ErrUnsupported, strings.TrimSpace(stderr))
	}
	return err
}
