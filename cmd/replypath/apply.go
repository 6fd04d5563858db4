package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/iproute"
	"replypath/cmd/internal/rollback"
	"replypath/cmd/internal/statedir"
	"replypath/uplinks"
	"replypath/uplinks/inspect"

	"github.com/spf13/cobra"
)

func (p *program) applyCommand() *cobra.Command {
	var confirm confirmTime
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "apply",
		Short: "Apply the configuration to the kernel, once",
		Long: `Apply the configuration to the kernel, once. Only differences are changed. If a step
fails, the steps before it are undone. If the service runs, it applies the
configuration.

An uplink whose gateway cannot be right, or whose route the kernel refuses, is left
out in that family: it stays as it was, the others are applied, a warning names it,
and the exit status is 3.

With --confirm the previous configuration is restored after that time unless
"replypath confirm" is run before: for changes that might cut off your own access.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if !confirm.bare {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.MaximumNArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 { // --confirm TIME: as the time has a default, it is an argument of its own
				if err := confirm.Set(args[0]); err != nil {
					return fmt.Errorf("%w: --confirm %s: %w", errUsage, args[0], err)
				}
			}
			confirm := confirm.duration
			err := p.applyOrDelegate(cmd.Context(), confirm)
			if confirm != 0 && (err == nil || errors.Is(err, errNegative)) {
				p.printConfirmHint(confirm)
			}
			return err
		},
	})
	cmd.Flags().Var(&confirm, "confirm", "roll back after this `TIME` unless confirmed")
	cmd.Flags().Lookup("confirm").NoOptDefVal = defaultConfirm
	return cmd
}

// applyOrDelegate applies the configuration through the service if one runs or starts meanwhile, and otherwise itself.
func (p *program) applyOrDelegate(ctx context.Context, confirm time.Duration) error {
	running, err := p.reloadService(ctx, confirm)
	if running || err != nil {
		return err
	}
	c, files, err := p.readFiles()
	if err != nil {
		return err
	}
	if err = p.applyHere(ctx, c, files, confirm); errors.Is(err, statedir.ErrServiceRuns) {
		_, err = p.reloadService(ctx, confirm)
	}
	return err
}

func (p *program) applyHere(ctx context.Context, c config.Config, files config.Files, confirm time.Duration) error {
	h, err := p.openLockedHost(ctx, c)
	if err != nil {
		return err
	}
	defer h.Close()
	h.CheckProxiesUntilSure(ctx)
	transaction, err := p.openTransaction()
	if err != nil {
		return err
	}
	if err := p.leaveOurs(); err != nil {
		return err
	}
	if confirm != 0 {
		p.warnUnlessSaved(p.store().AwaitConfirmation(files))
	}
	if err := h.ResolveRouters(ctx, c.Settings); err != nil {
		fmt.Fprintf(p.stderr, "warning: cannot resolve the routers by which uplinks are distinguished, apply again: %v\n", err)
	}
	plan, before, err := p.changeKernel(ctx, h, transaction, c.Settings, confirm)
	if err != nil {
		return err
	}
	if confirm == 0 {
		p.warnUnlessSaved(p.store().Confirm(files))
	}
	if err := iproute.WriteTableNames(c.Settings); err != nil {
		fmt.Fprintf(p.stderr, "warning: %v\n", err)
	}
	left := before.Facts.LeftOut(c.Settings)
	if err := p.printApplyReport(plan, inspect.BeforeChange(c.Settings, before), left, "applied"); err != nil {
		return err
	}
	p.warnOfLease(c)
	if len(left) > 0 {
		return errNegative
	}
	return nil
}

// warnOfLease says that the programs of [udp] need the service.
func (p *program) warnOfLease(c config.Config) {
	if c.UDP != nil && !p.json {
		fmt.Fprintf(p.stderr, "warning: without the service, answer = \"asked\" of [udp] ends in %s: run replypath run\n", host.UDPLease)
	}
}

// changeKernel changes the kernel. A rollback is armed, and its guard runs, before the first change.
func (p *program) changeKernel(ctx context.Context, h *host.Host, t *rollback.Transaction, s uplinks.Settings, confirm time.Duration) (uplinks.Plan, uplinks.Observation, error) {
	if confirm != 0 {
		if err := p.armRollback(ctx, h, t, s, confirm); err != nil {
			return nil, uplinks.Observation{}, err
		}
	}
	plan, before, err := uplinks.Change(ctx, h, s)
	switch {
	case err != nil && confirm != 0:
		return nil, before, errors.Join(err, t.Cancel())
	case err != nil:
		return nil, before, err
	case confirm == 0:
		return plan, before, t.Keep(s)
	}
	return plan, before, nil
}

// armRollback arms the rollback and starts the guard that carries it out.
func (p *program) armRollback(ctx context.Context, h *host.Host, t *rollback.Transaction, s uplinks.Settings, confirm time.Duration) error {
	previous, err := t.Confirmed()
	if err != nil {
		return err
	}
	_, have, err := h.Observe(ctx)
	if err != nil {
		return err
	}
	if previous == nil && !t.Armed() && len(have.Rules)+len(have.Chains) > 0 {
		return errors.New("no configuration was saved for what is in the kernel, so there is none to roll back to: apply once without --confirm")
	}
	if err := t.Arm(s, previous, confirm); err != nil {
		return err
	}
	if err := p.startGuard(); err != nil {
		return errors.Join(err, t.Cancel())
	}
	return nil
}

func (p *program) openTransaction() (*rollback.Transaction, error) {
	d, err := statedir.Open(p.stateDir)
	if err != nil {
		return nil, err
	}
	return rollback.Open(d)
}

func (p *program) printConfirmHint(confirm time.Duration) {
	if !p.json {
		fmt.Fprintf(p.stdout, "rolls back in %s unless confirmed: replypath confirm\n", confirm)
	}
}

// applyReport is the result of apply and flush in JSON.
type applyReport struct {
	Version  int               `json:"version"`
	Changed  bool              `json:"changed"`
	Steps    []stepReport      `json:"steps"`
	Warnings []inspect.Finding `json:"warnings"`
	LeftOut  []leftOutReport   `json:"left_out"`
}

// leftOutReport is an uplink in a family that is not applied although it is configured; a warning has its remedy.
type leftOutReport struct {
	Uplink string         `json:"uplink"`
	Family uplinks.Family `json:"family"`
	Reason string         `json:"reason"`
}

func leftOutReports(left []uplinks.LeftOut) []leftOutReport {
	all := []leftOutReport{}
	for _, o := range left {
		all = append(all, leftOutReport{o.Path.Uplink, o.Path.Family, o.Reason})
	}
	return all
}

func (p *program) printApplyReport(plan uplinks.Plan, findings []inspect.Finding, left []uplinks.LeftOut, verb string) error {
	if p.json {
		return p.printJSON(applyReport{Version: 1, Changed: len(plan) > 0, Steps: stepReports(plan), Warnings: nonNil(findings), LeftOut: leftOutReports(left)})
	}
	p.printWarnings(findings)
	if len(plan) == 0 {
		_, err := fmt.Fprintln(p.stdout, "in sync: nothing to do")
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %s\n", verb, summary(plan))
	return err
}

func (p *program) openHost(ctx context.Context, c config.Config) (*host.Host, error) {
	if err := checkPrivileges(); err != nil {
		return nil, err
	}
	return host.Open(ctx, host.Options{StateDir: p.stateDir, Backend: c.Backend, TableBase: c.TableBase, Proxies: c.Proxies(), Settings: c.Settings})
}

func (p *program) openLockedHost(ctx context.Context, c config.Config) (*host.Host, error) {
	h, err := p.openHost(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := h.Lock(ctx); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}
