package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"replypath/cmd/internal/control"

	"github.com/spf13/cobra"
)

func (p *program) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Let the running service read its configuration again",
		Long: `Let the running service read its configuration again, as SIGHUP does. A configuration
that cannot be read or planned as a whole is refused, and the old one stays.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := p.readConfig(); err != nil {
				return err
			}
			running, err := p.reloadService(cmd.Context(), 0)
			if err == nil && !running {
				return fmt.Errorf("%w: start it, or do it once: replypath apply", control.ErrNoService)
			}
			return err
		},
	}
}

// reloadService lets the service carry the configuration out, when one runs.
func (p *program) reloadService(ctx context.Context, confirm time.Duration) (running bool, err error) {
	err = control.Client{StateDir: p.stateDir}.Reload(ctx, control.Reload{ConfigFile: p.configPath, ConfirmWithin: confirm})
	if errors.Is(err, control.ErrNoService) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	_, err = fmt.Fprintln(p.stdout, "the service has read the configuration, and is in sync")
	return true, err
}

// requireNoService refuses what a running service would undo at once.
func (p *program) requireNoService(ctx context.Context) error {
	_, err := control.Client{StateDir: p.stateDir}.Status(ctx)
	if errors.Is(err, control.ErrNoService) || errors.Is(err, fs.ErrPermission) {
		return nil // who may not ask may not do anything else either, and is told so
	}
	return errors.New("the service runs and would put everything back: stop it first (systemctl stop replypath)")
}
