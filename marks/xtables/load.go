package xtables

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

// unhooks is how a line of a restore begins that deletes a rule of a built-in chain.
const unhooks = "-D "

// Load gives text to iptables-restore, which does all of it or nothing; but when chains cannot be deleted, because
// somebody's rule jumps to one, the rest is done, and that is the error.
func (t *Table) Load(ctx context.Context, text string) error {
	err := t.do(ctx, text)
	if errors.Is(err, ErrMissing) {
		return t.missing(ctx, err)
	}
	rest := withoutDeletions(text)
	if err == nil || lasting(err) || rest == text || t.do(ctx, rest) != nil {
		return err
	}
	return t.referenced(err)
}

func withoutDeletions(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "-X ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// lasting reports whether what is tried next would fail too, and perhaps as late.
func lasting(err error) bool {
	return slices.ContainsFunc([]error{ErrLocked, ErrHangs, ErrPermission, context.Canceled, context.DeadlineExceeded},
		func(of error) bool { return errors.Is(err, of) })
}

// do gives text to iptables-restore, if it must be in parts.
func (t *Table) do(ctx context.Context, text string) error {
	err := t.run(ctx, text)
	if err != nil && !lasting(err) && t.Backend == marks.NFT && strings.Contains(text, "\n"+unhooks) && t.apart(ctx, text) == nil {
		return nil
	}
	return err
}

// apart does in three parts what a restore of nftables refuses to do at once: what is new, the deletion of hooks, by the
// handles that they had before, and that of chains. iptables cannot delete a rule where it passes one that it cannot
// read, of whoever, and it does not know a rule of ours that nft(8) saved and loaded again.
func (t *Table) apart(ctx context.Context, text string) error {
	held, err := t.nft()
	if err != nil {
		return err
	}
	first, old, last := divide(text, decoded.NFT(held.chains, held.rules))
	if err := t.run(ctx, first); err != nil {
		return err
	}
	for _, r := range old {
		if err := t.delete(r); err != nil {
			return err
		}
	}
	if last == "" {
		return nil
	}
	return t.run(ctx, last)
}

// placed is a rule of a built-in chain, by its handle.
type placed struct {
	builtin string
	handle  uint64
}

// divide gives a restore without deletions, the rules that it deletes, and one that deletes chains if there are any.
func divide(text string, held decoded.Table) (first string, old []placed, last string) {
	var without, chains strings.Builder
	for line := range strings.Lines(text) {
		hook, unhook := strings.CutPrefix(line, unhooks)
		switch {
		case unhook:
			builtin, rule, _ := strings.Cut(strings.TrimSpace(hook), " ")
			for _, r := range held[builtin] {
				if r.Whole && r.String() == rule {
					old = append(old, placed{builtin, r.Handle})
				}
			}
		case strings.HasPrefix(line, "-X "):
			chains.WriteString(line)
		default:
			without.WriteString(line)
		}
	}
	if chains.Len() > 0 {
		last = "*" + marks.Table + "\n" + chains.String() + "COMMIT\n"
	}
	return without.String(), old, last
}

// delete deletes a rule. It is no error when it has gone.
func (t *Table) delete(r placed) error {
	del := message(unix.NFT_MSG_DELRULE, unix.NLM_F_ACK, t.family(), nfnetlink.Text(unix.NFTA_RULE_TABLE, marks.Table),
		nfnetlink.Text(unix.NFTA_RULE_CHAIN, r.builtin), nfnetlink.Number64(unix.NFTA_RULE_HANDLE, r.handle))
	if err := t.ask(batch(del)); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete rule %d of %s: %w", r.handle, r.builtin, err)
	}
	return nil
}
