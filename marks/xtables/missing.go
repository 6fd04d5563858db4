package xtables

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"replypath/marks"
)

// scratch is a chain that no packet meets.
const scratch = marks.Prefix + "TRY"

// parts are what our rules are made of, each as the shortest rule that needs it, and the module that has it.
var parts = []struct{ what, rule, module string }{
	{"match devgroup", "-m devgroup --src-group 0x1", "xt_devgroup"},
	{"match mark", "-m mark ! --mark 0x0/0x1", "xt_mark"},
	{"match connmark", "-m connmark --mark 0x0/0x1", "xt_connmark"},
	{"match conntrack", "-m conntrack --ctdir REPLY", "xt_conntrack"},
	{"target CONNMARK", "-j CONNMARK --restore-mark --nfmask 0x1 --ctmask 0x1", "xt_connmark"},
}

// missing finds out which part of our rules the kernel or iptables does not have.
func (t *Table) missing(ctx context.Context, err error) error {
	empty := fmt.Sprintf("*%s\n:%s - [0:0]\nCOMMIT\n", marks.Table, scratch)
	if none := t.run(ctx, empty); none != nil {
		return fmt.Errorf("%w: the kernel has no %s table for the backend %s: load its module, or choose the other backend", none, marks.Table, t.Backend)
	}
	var lacks []string
	for _, p := range parts {
		add := fmt.Sprintf("*%s\n:%s - [0:0]\n-A %s %s\nCOMMIT\n", marks.Table, scratch, scratch, p.rule)
		if errors.Is(t.run(ctx, add), ErrMissing) {
			lacks = append(lacks, fmt.Sprintf("%s (module %s)", p.what, p.module))
		}
	}
	del := fmt.Sprintf("*%s\n:%s - [0:0]\n-X %s\nCOMMIT\n", marks.Table, scratch, scratch)
	if t.run(ctx, del) != nil || len(lacks) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w: %s: load the module with modprobe, or install the kernel's extra modules", t.Command,
		ErrMissing, strings.Join(lacks, ", "))
}

// Lacks is an ErrMissing that names the parts of our rules that the kernel or iptables does not have. It has the restore
// command read each part, and load nothing.
func (t *Table) Lacks(ctx context.Context) error {
	whole := fmt.Sprintf("*%s\n:%s - [0:0]\n", marks.Table, scratch)
	for _, p := range parts {
		whole += fmt.Sprintf("-A %s %s\n", scratch, p.rule)
	}
	err := t.tried(ctx, whole+"COMMIT\n")
	if !errors.Is(err, ErrMissing) {
		return err
	}
	var lacks []string
	for _, p := range parts {
		if t.tried(ctx, fmt.Sprintf("*%s\n:%s - [0:0]\n-A %s %s\nCOMMIT\n", marks.Table, scratch, scratch, p.rule)) != nil {
			lacks = append(lacks, fmt.Sprintf("%s (module %s)", p.what, p.module))
		}
	}
	if len(lacks) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w: %s", t.Command, ErrMissing, strings.Join(lacks, ", "))
}

// tried has the restore command read a text without loading it. That the kernel does not have what it needs is only a
// warning then.
func (t *Table) tried(ctx context.Context, text string) error {
	said, err := t.restored(ctx, text, "--test")
	if err == nil && strings.Contains(said, "missing kernel module") {
		return fmt.Errorf("%s: %w (%s)", t.Command, ErrMissing, strings.TrimSpace(said))
	}
	return err
}
