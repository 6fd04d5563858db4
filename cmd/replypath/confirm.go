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
	"replypath/cmd/internal/daemon"
	"replypath/cmd/internal/host"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

func (p *program) confirmCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "confirm",
		Short: "Keep what apply --confirm has changed",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := privileged(); err != nil {
				return err
			}
			_, err := daemon.Call(cmd.Context(), p.state, daemon.Request{Do: daemon.DoConfirm})
			if errors.Is(err, daemon.ErrNoService) {
				err = p.confirm()
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.stdout, "confirmed")
			return err
		},
	}
}

func (p *program) confirm() error {
	m, err := host.Remember(p.state)
	if err != nil {
		return err
	}
	pending, err := m.Pending()
	if err != nil {
		return err
	}
	if pending == nil || pending.Reverted || pending.Left() == 0 {
		return host.ErrNothingPending
	}
	return errors.Join(m.SetPending(nil), m.SetInForce(&pending.New))
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
	state, err := filepath.Abs(p.state)
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

// glance is how often the guard looks whether it is still needed, and how soon it tries again.
const glance = time.Second

// guard ends when nothing is left to go back to. A failure may pass, and nobody else brings a host back that cannot be
// reached.
func (p *program) guard(ctx context.Context) error {
	m, err := host.Remember(p.state)
	if err != nil {
		return err
	}
	for {
		pending, err := m.Pending()
		if err != nil || pending == nil || pending.Reverted {
			return err
		}
		left := pending.Left()
		if left == 0 && p.goBack(ctx, m, *pending) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(cmp.Or(min(left, glance), glance)):
		}
	}
}

// goBack does what a confirmation would have prevented. A service that has started meanwhile does it itself.
func (p *program) goBack(ctx context.Context, m host.Memory, pending host.Pending) error {
	back := pending.Back()
	h, err := p.openToWrite(ctx, config.Config{Settings: back})
	if err != nil {
		return err
	}
	defer h.Close()
	if now, err := m.Pending(); err != nil || now == nil || now.Reverted || now.Left() > 0 {
		return err
	}
	if _, err := uplinks.Sync(ctx, h, back); err != nil {
		return err
	}
	pending.Reverted = true
	return m.SetPending(&pending)
}
