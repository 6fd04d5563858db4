package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/configstore"
	"replypath/cmd/internal/control"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/rollback"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

func (p *program) confirmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "confirm",
		Short: "Keep the changes of apply --confirm or restore --confirm",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkPrivileges(); err != nil {
				return err
			}
			err := control.Client{StateDir: p.stateDir}.Confirm(cmd.Context())
			if errors.Is(err, control.ErrNoService) {
				err = rollback.CommitAll(p.confirmRestore, p.confirmPending)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.stdout, "confirmed")
			return err
		},
	}
}

// confirmPending confirms without a service.
func (p *program) confirmPending() error {
	t, err := p.openTransaction()
	if err != nil {
		return err
	}
	pending, saved := p.store().Unconfirmed()
	isPending := saved == nil && t.Changes(pending.Settings)
	if err := t.Commit(); err != nil {
		return err
	}
	switch {
	case isPending:
		saved = p.store().Commit()
	case saved == nil:
		saved = errors.New("the configuration that was applied is not saved")
	}
	p.warnUnlessSaved(saved)
	return nil
}

// store returns the store of the configuration file.
func (p *program) store() configstore.Store { return configstore.New(p.stateDir, p.configPath) }

// warnUnlessSaved prints what is lost when a configuration cannot be saved.
func (p *program) warnUnlessSaved(err error) {
	if err != nil {
		fmt.Fprintf(p.stderr, "warning: %v: the next start of the service may use an older configuration, or one that was not confirmed\n", err)
	}
}

// guardRestore has the guard roll back a restore.
const guardRestore = "--restore"

// guardCommand rolls back an apply --confirm or restore --confirm that nothing confirms, where no service does it.
func (p *program) guardCommand() *cobra.Command {
	restore := false
	cmd := &cobra.Command{
		Use:    "guard",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if restore {
				return p.guardRestore(cmd.Context())
			}
			return p.guardApply(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&restore, strings.TrimPrefix(guardRestore, "--"), false, "")
	return cmd
}

// startGuard starts the guard as a process that outlives this one and its terminal.
func (p *program) startGuard(flags ...string) error {
	// The guard does not keep the working directory, which may be unmounted.
	state, err := filepath.Abs(p.stateDir)
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	guard, err := startDetached(nil, append([]string{"guard", "--state", state}, flags...)...)
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	return guard.Release()
}

// startDetached starts this program as a process that is independent of the terminal and the working directory. Its standard input is
// the file, or empty.
func startDetached(input *os.File, args ...string) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if input == nil {
		input = null
	}
	return os.StartProcess("/proc/self/exe", append([]string{"replypath"}, args...), &os.ProcAttr{
		Dir: "/", Files: []*os.File{input, null, null}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

// guardInterval is the time between two looks of the guard at the transaction, and between two attempts of a rollback.
const guardInterval = time.Second

// unconfirmed is a change that is rolled back at its deadline.
type unconfirmed interface {
	Reload() error
	Armed() bool
	Due() bool
	Remaining() time.Duration
}

func (p *program) guardApply(ctx context.Context) error {
	t, err := p.openTransaction()
	if err != nil {
		return err
	}
	return guard(ctx, t, func() error { return p.rollBack(ctx, t) })
}

func (p *program) guardRestore(ctx context.Context) error {
	r, err := p.openRestore()
	if err != nil {
		return err
	}
	return guard(ctx, r, func() error { return p.rollBackRestore(ctx, r) })
}

// guard rolls a change back at its deadline, and ends when none is armed. It retries a rollback that fails, as nothing
// else restores a host that cannot be reached.
func guard(ctx context.Context, c unconfirmed, rollBack func() error) (err error) {
	for ; err == nil && c.Armed(); err = c.Reload() {
		if c.Due() && rollBack() == nil {
			return nil
		}
		wait := guardInterval
		if c.Armed() && !c.Due() {
			wait = min(wait, c.Remaining())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	return err
}

// rollBack restores the previous settings, unless another process has confirmed or rolled back the change before this one
// got the lock of the host.
func (p *program) rollBack(ctx context.Context, t *rollback.Transaction) error {
	h, err := p.openLockedHost(ctx, config.Config{Settings: t.Previous()})
	if err != nil {
		return err
	}
	defer h.Close()
	if err := t.Reload(); err != nil {
		return err
	}
	_, err = t.Rollback(ctx, restorer{h})
	return err
}

// restorer restores settings on a host that this process has locked.
type restorer struct{ host *host.Host }

// Restore implements rollback.Restorer.
func (r restorer) Restore(ctx context.Context, s uplinks.Settings) error {
	_, err := uplinks.Sync(ctx, r.host, s)
	return err
}
