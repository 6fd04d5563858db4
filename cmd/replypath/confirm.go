package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/control"
	"replypath/cmd/internal/statedir"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

func (p *program) confirmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "confirm",
		Short: "Keep what apply --confirm has changed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkPrivileges(); err != nil {
				return err
			}
			err := control.Client{StateDir: p.stateDir}.Confirm(cmd.Context())
			if errors.Is(err, control.ErrNoService) {
				err = p.confirmPending()
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.stdout, "confirmed")
			return err
		},
	}
}

func (p *program) confirmPending() error {
	m, err := statedir.Open(p.stateDir)
	if err != nil {
		return err
	}
	pending, err := m.Pending()
	if err != nil {
		return err
	}
	if pending == nil || pending.Reverted || pending.Remaining() == 0 {
		return statedir.ErrNothingPending
	}
	return errors.Join(m.SetPending(nil), m.SetApplied(&pending.New))
}

// guardCommand waits beside no service for the time of an apply --confirm to be over.
func (p *program) guardCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "guard",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(cmd *cobra.Command, _ []string) error { return p.guard(cmd.Context()) },
	}
}

// startGuard lets the guard outlive this process and its terminal.
func (p *program) startGuard() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	defer null.Close()
	// It does not stay in this folder, which may go.
	state, err := filepath.Abs(p.stateDir)
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	args := []string{"replypath", "guard", "--state", state}
	guard, err := os.StartProcess("/proc/self/exe", args, &os.ProcAttr{
		Dir: "/", Files: []*os.File{null, null, null}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start the guard: %w", err)
	}
	return guard.Release()
}

// guardInterval is how often the guard looks whether it is still needed, and how soon it tries again.
const guardInterval = time.Second

// guard ends when nothing is left to go back to. A failure may pass, and nobody else brings a host back that cannot be
// reached.
func (p *program) guard(ctx context.Context) error {
	m, err := statedir.Open(p.stateDir)
	if err != nil {
		return err
	}
	for {
		pending, err := m.Pending()
		if err != nil || pending == nil || pending.Reverted {
			return err
		}
		left := pending.Remaining()
		if left == 0 && p.revert(ctx, m, *pending) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(cmp.Or(min(left, guardInterval), guardInterval)):
		}
	}
}

// revert does what a confirmation would have prevented. A service that has started meanwhile does it itself.
func (p *program) revert(ctx context.Context, m statedir.Dir, pending statedir.Pending) error {
	back := pending.RollbackTarget()
	h, err := p.openLockedHost(ctx, config.Config{Settings: back})
	if err != nil {
		return err
	}
	defer h.Close()
	if now, err := m.Pending(); err != nil || now == nil || now.Reverted || now.Remaining() > 0 {
		return err
	}
	if _, err := uplinks.Sync(ctx, h, back); err != nil {
		return err
	}
	pending.Reverted = true
	return m.SetPending(&pending)
}
