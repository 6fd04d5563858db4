package iptables

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"replypath/marks"
	"replypath/marks/decoded"
	"replypath/marks/nfnetlink"

	"golang.org/x/sys/unix"
)

// deleteRulePrefix is how a line of a restore begins that deletes a rule of a built-in chain.
const deleteRulePrefix = "-D "

// Load gives text to iptables-restore, which does all of it or nothing; but when chains cannot be deleted, because
// somebody's rule jumps to one, the rest is done, and that is the error.
func (t *Table) Load(ctx context.Context, text string) error {
	err := t.restoreOrSplit(ctx, text)
	if errors.Is(err, ErrMissing) {
		return t.findMissing(ctx, err)
	}
	rest := withoutChainDeletions(text)
	if err == nil || isPersistent(err) || rest == text || t.restoreOrSplit(ctx, rest) != nil {
		return err
	}
	return t.asReferenced(err)
}

func withoutChainDeletions(text string) string {
	var rest strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "-X ") {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

// isPersistent reports whether what is tried next would fail too, and perhaps as late.
func isPersistent(err error) bool {
	return slices.ContainsFunc([]error{ErrLocked, ErrTimeout, ErrPermission, context.Canceled, context.DeadlineExceeded},
		func(target error) bool { return errors.Is(err, target) })
}

// restoreOrSplit gives text to iptables-restore, if it must be in parts.
func (t *Table) restoreOrSplit(ctx context.Context, text string) error {
	err := t.restore(ctx, text)
	if err != nil && !isPersistent(err) && t.Backend == marks.NFT && strings.Contains(text, "\n"+deleteRulePrefix) && t.restoreInParts(ctx, text) == nil {
		return nil
	}
	return err
}

// restoreInParts does in three parts what a restore of nftables refuses to do at once: what is new, the deletion of hooks, by the
// handles that they had before, and that of chains. iptables cannot delete a rule where it passes one that it cannot
// read, of whoever, and it does not know a rule of ours that nft(8) saved and loaded again.
func (t *Table) restoreInParts(ctx context.Context, text string) error {
	raw, err := t.readNFT()
	if err != nil {
		return err
	}
	first, old, last := splitRestore(text, decoded.NFT(raw.chains, raw.rules))
	if err := t.restore(ctx, first); err != nil {
		return err
	}
	for _, r := range old {
		if err := t.deleteRule(r); err != nil {
			return err
		}
	}
	if last == "" {
		return nil
	}
	return t.restore(ctx, last)
}

// builtinRule is a rule of a built-in chain, by its handle.
type builtinRule struct {
	builtin string
	handle  uint64
}

// splitRestore gives a restore without deletions, the rules that it deletes, and one that deletes chains if there are any.
func splitRestore(text string, table decoded.Table) (first string, old []builtinRule, last string) {
	var additions, chains strings.Builder
	for line := range strings.Lines(text) {
		hook, unhook := strings.CutPrefix(line, deleteRulePrefix)
		switch {
		case unhook:
			builtin, rule, _ := strings.Cut(strings.TrimSpace(hook), " ")
			for _, r := range table[builtin] {
				if r.Complete && r.String() == rule {
					old = append(old, builtinRule{builtin, r.Handle})
				}
			}
		case strings.HasPrefix(line, "-X "):
			chains.WriteString(line)
		default:
			additions.WriteString(line)
		}
	}
	if chains.Len() > 0 {
		last = "*" + marks.MangleTable + "\n" + chains.String() + "COMMIT\n"
	}
	return additions.String(), old, last
}

// deleteRule deletes a rule. It is no error when it has gone.
func (t *Table) deleteRule(r builtinRule) error {
	del := message(unix.NFT_MSG_DELRULE, unix.NLM_F_ACK, t.family(), nfnetlink.StringAttribute(unix.NFTA_RULE_TABLE, marks.MangleTable),
		nfnetlink.StringAttribute(unix.NFTA_RULE_CHAIN, r.builtin), nfnetlink.Uint64Attribute(unix.NFTA_RULE_HANDLE, r.handle))
	if err := t.request(batch(del)); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete rule %d of %s: %w", r.handle, r.builtin, err)
	}
	return nil
}
