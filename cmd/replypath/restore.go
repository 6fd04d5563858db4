package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"replypath/cmd/internal/host"
	"replypath/cmd/internal/rollback"
	"replypath/cmd/internal/statedir"
	"replypath/uplinks/snapshot"

	"github.com/spf13/cobra"
)

// restoreOptions are the flags of restore.
type restoreOptions struct {
	all, dryRun bool
	confirm     confirmTime
}

func (p *program) restoreCommand() *cobra.Command {
	var o restoreOptions
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "restore FILE",
		Short: "Put back what a snapshot has",
		Long: `Make all that belongs to replypath as it is in the snapshot: its rules, routes and chains,
and the link groups and sysctls that it had set. With --all, also put back what is missing of
other programs: rules, routes, link groups, sysctls and rules of mangle chains. Nothing of
theirs is deleted, and nothing is added twice. Routes that the kernel makes itself, from
addresses and router advertisements, are left to it.

What is new is added before what is old is deleted; after a failed step nothing more is
deleted. With --dry-run the changes are printed, and the exit status is 3 if there are any.
A line that cannot be restored, such as of a link that is gone, is left out, with a warning
and the exit status 3. It needs no configuration. Not while the service runs, which would undo it.

With --confirm the host is brought back to what it was before, also after a failed step, unless
"replypath confirm" is run in that time. What other programs have changed meanwhile stays.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if !o.confirm.bare {
				return cobra.ExactArgs(1)(cmd, args)
			}
			return cobra.RangeArgs(1, 2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := o.confirm.otherArg(args)
			if err != nil {
				return err
			}
			d, err := openSnapshot(file)
			if err != nil {
				return err
			}
			if o.dryRun {
				return p.planRestore(cmd.Context(), d, o.all)
			}
			return p.restore(cmd.Context(), d, o)
		},
	})
	cmd.Flags().BoolVar(&o.all, "all", false, "also put back what is missing of other programs")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only print the changes")
	cmd.Flags().Var(&o.confirm, "confirm", "roll back after this `TIME` unless confirmed")
	cmd.Flags().Lookup("confirm").NoOptDefVal = defaultConfirm
	return cmd
}

func (p *program) planRestore(ctx context.Context, d snapshot.Document, all bool) error {
	h, err := p.openHost(ctx, anyHost())
	if err != nil {
		return err
	}
	defer h.Close()
	plan, err := h.PlanRestore(ctx, d, all)
	if err != nil {
		return err
	}
	p.warnLeftOut(plan)
	if p.json {
		err = p.printJSON(newRestoreReport(plan))
	} else {
		_, err = fmt.Fprint(p.stdout, plan)
	}
	if err == nil && (!plan.IsEmpty() || len(plan.LeftOut) > 0) {
		err = errNegative
	}
	return err
}

func (p *program) restore(ctx context.Context, d snapshot.Document, o restoreOptions) error {
	if err := p.requireNoService(ctx); err != nil {
		return err
	}
	h, err := p.openLockedHost(ctx, anyHost())
	if err != nil {
		return err
	}
	defer h.Close()
	pending, err := p.openRestore()
	if err != nil {
		return err
	}
	armed, err := p.armRestore(ctx, h, pending, d, o)
	if err != nil {
		return err
	}
	done, err := h.Restore(ctx, d, o.all)
	p.warnLeftOut(done)
	if err == nil && o.confirm.duration == 0 && o.all {
		err = pending.Cancel()
	}
	if err == nil {
		err = p.printRestored(done)
	}
	if armed {
		p.printConfirmHint(o.confirm.duration)
	}
	return err
}

// armRestore saves what a restore is rolled back to, and starts the guard that does it. Without --confirm, a restore that waits for
// its confirmation no longer undoes what this one changes. It reports whether this one waits.
func (p *program) armRestore(ctx context.Context, h *host.Host, pending *rollback.Restore, d snapshot.Document, o restoreOptions) (armed bool, err error) {
	if o.confirm.duration == 0 {
		return false, pending.LeaveOurs()
	}
	t, err := p.openTransaction()
	if err != nil {
		return false, err
	}
	if t.Armed() {
		return false, fmt.Errorf("a change of apply waits for its confirmation, and would be rolled back over this one: replypath confirm, or wait %s", t.Remaining().Round(time.Second))
	}
	plan, err := h.PlanRestore(ctx, d, o.all)
	if err != nil || plan.IsEmpty() && !pending.Armed() {
		return false, err
	}
	before, err := h.Snapshot(ctx)
	if err != nil {
		return false, err
	}
	if err := pending.Arm(snapshot.Undo{Before: before, Restored: d, Ours: true, Others: o.all}, o.confirm.duration); err != nil {
		return false, err
	}
	if err := p.startGuard(guardRestore); err != nil {
		return false, errors.Join(err, pending.Cancel())
	}
	return true, nil
}

// openRestore returns the restore that waits for its confirmation, if there is one.
func (p *program) openRestore() (*rollback.Restore, error) {
	d, err := statedir.Open(p.stateDir)
	if err != nil {
		return nil, err
	}
	return rollback.OpenRestore(d)
}

// leaveOurs excludes what belongs to replypath, which another command is about to change, from the rollback of a restore.
func (p *program) leaveOurs() error {
	pending, err := p.openRestore()
	if err != nil {
		return err
	}
	return pending.LeaveOurs()
}

// confirmRestore keeps a restore that waits for its confirmation.
func (p *program) confirmRestore() error {
	pending, err := p.openRestore()
	if err != nil {
		return err
	}
	return pending.Commit()
}

// rollBackRestore undoes a restore, unless another process has confirmed it or rolled it back before this one got the lock of the host.
func (p *program) rollBackRestore(ctx context.Context, r *rollback.Restore) error {
	h, err := p.openLockedHost(ctx, anyHost())
	if err != nil {
		return err
	}
	defer h.Close()
	if err := r.Reload(); err != nil {
		return err
	}
	_, err = r.Rollback(ctx, h)
	return err
}

// printRestored prints what was done. The error is errNegative where a line was left out.
func (p *program) printRestored(done host.Restoration) (err error) {
	switch {
	case p.json:
		err = p.printJSON(newRestoreReport(done))
	case done.IsEmpty():
		_, err = fmt.Fprintln(p.stdout, "in sync: nothing to do")
	default:
		_, err = fmt.Fprintf(p.stdout, "restored: %s\n", pluralize(len(done.Ours)+len(done.Others), "step"))
	}
	if err == nil && len(done.LeftOut) > 0 {
		err = errNegative
	}
	return err
}

// warnLeftOut prints the lines of the snapshot that cannot be restored.
func (p *program) warnLeftOut(r host.Restoration) {
	for _, l := range r.LeftOut {
		fmt.Fprintf(p.stderr, "warning: left out: %s\n", sanitize(l))
	}
}

// restoreReport is the result of restore in JSON.
type restoreReport struct {
	Version int          `json:"version"`
	Changed bool         `json:"changed"`
	Steps   []stepReport `json:"steps"`
	LeftOut []string     `json:"left_out"`
}

func newRestoreReport(r host.Restoration) restoreReport {
	steps := []stepReport{}
	for _, s := range r.Others {
		steps = append(steps, newStepReport(s.Kind, s.String()))
	}
	return restoreReport{Version: 1, Changed: !r.IsEmpty(), Steps: append(steps, stepReports(r.Ours)...), LeftOut: nonNil(r.LeftOut)}
}
