package iptables

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"replypath/marks"
)

// probeChain is a chain that no packet meets.
const probeChain = marks.Prefix + "TRY"

// extensions are what our rules are made of, each as the shortest rule that needs it, and the module that has it.
var extensions = []struct{ name, rule, module string }{
	{"match devgroup", "-m devgroup --src-group 0x1", "xt_devgroup"},
	{"match mark", "-m mark ! --mark 0x0/0x1", "xt_mark"},
	{"match connmark", "-m connmark --mark 0x0/0x1", "xt_connmark"},
	{"match conntrack", "-m conntrack --ctdir REPLY", "xt_conntrack"},
	{"target CONNMARK", "-j CONNMARK --restore-mark --nfmask 0x1 --ctmask 0x1", "xt_connmark"},
}

// findMissing finds out which part of our rules the kernel or iptables does not have.
func (t *Table) findMissing(ctx context.Context, err error) error {
	empty := fmt.Sprintf("*%s\n:%s - [0:0]\nCOMMIT\n", marks.MangleTable, probeChain)
	if failed := t.restore(ctx, empty); failed != nil {
		return fmt.Errorf("%w: the kernel has no %s table for the backend %s: load its module, or choose the other backend", failed, marks.MangleTable, t.Backend)
	}
	var missing []string
	for _, p := range extensions {
		add := fmt.Sprintf("*%s\n:%s - [0:0]\n-A %s %s\nCOMMIT\n", marks.MangleTable, probeChain, probeChain, p.rule)
		if errors.Is(t.restore(ctx, add), ErrMissing) {
			missing = append(missing, fmt.Sprintf("%s (module %s)", p.name, p.module))
		}
	}
	del := fmt.Sprintf("*%s\n:%s - [0:0]\n-X %s\nCOMMIT\n", marks.MangleTable, probeChain, probeChain)
	if t.restore(ctx, del) != nil || len(missing) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w: %s: load the module with modprobe, or install the kernel's extra modules", t.Command,
		ErrMissing, strings.Join(missing, ", "))
}

// CheckExtensions is an ErrMissing that names the parts of our rules that the kernel or iptables does not have. It has the restore
// command read each part, and load nothing.
func (t *Table) CheckExtensions(ctx context.Context) error {
	script := fmt.Sprintf("*%s\n:%s - [0:0]\n", marks.MangleTable, probeChain)
	for _, p := range extensions {
		script += fmt.Sprintf("-A %s %s\n", probeChain, p.rule)
	}
	err := t.testRestore(ctx, script+"COMMIT\n")
	if !errors.Is(err, ErrMissing) {
		return err
	}
	var missing []string
	for _, p := range extensions {
		if t.testRestore(ctx, fmt.Sprintf("*%s\n:%s - [0:0]\n-A %s %s\nCOMMIT\n", marks.MangleTable, probeChain, probeChain, p.rule)) != nil {
			missing = append(missing, fmt.Sprintf("%s (module %s)", p.name, p.module))
		}
	}
	if len(missing) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w: %s", t.Command, ErrMissing, strings.Join(missing, ", "))
}

// testRestore has the restore command read a text without loading it. That the kernel does not have what it needs is only a
// warning then.
func (t *Table) testRestore(ctx context.Context, text string) error {
	stderr, err := t.runRestore(ctx, text, "--test")
	if err == nil && strings.Contains(stderr, "missing kernel module") {
		return fmt.Errorf("%s: %w (%s)", t.Command, ErrMissing, strings.TrimSpace(stderr))
	}
	return err
}
