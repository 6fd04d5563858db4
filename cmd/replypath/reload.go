package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"replypath/cmd/internal/control"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

func (p *program) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make the running service read its configuration again",
		Long: `Make the running service read its configuration again, as SIGHUP does. If the
configuration is invalid or cannot be applied, the service keeps the old one, and
status reports it until a reload succeeds. An uplink that is left out (see apply) is
named by a warning, and the exit status is 3.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			running, err := p.reloadService(cmd.Context(), 0)
			if err != nil || running {
				return err
			}
			if _, err = p.readConfig(); err == nil {
				return fmt.Errorf("%w: start it (systemctl start replypath), or apply once: replypath apply", control.ErrNoService)
			}
			return err
		},
	}
}

// reloadService makes the service, if one runs, read and apply the configuration. A configuration with mistakes is for the
// service to refuse, so that its status reports the refusal; the error then lists the mistakes.
func (p *program) reloadService(ctx context.Context, confirm time.Duration) (running bool, err error) {
	err = control.Client{StateDir: p.stateDir}.Reload(ctx, control.Reload{ConfigFile: p.configPath, ConfirmWithin: confirm})
	if errors.Is(err, control.ErrNoService) {
		return false, nil
	}
	if err != nil {
		if _, invalid := p.readConfig(); invalid != nil && !errors.Is(err, fs.ErrPermission) {
			return true, invalid
		}
		return true, err
	}
	if _, err = fmt.Fprintln(p.stdout, "the service has applied the configuration"); err != nil {
		return true, err
	}
	return true, p.warnOfLeftOut(ctx)
}

// warnOfLeftOut prints a warning for each uplink that the service leaves out, and returns errNegative if there is one.
func (p *program) warnOfLeftOut(ctx context.Context) (negative error) {
	status, err := control.Client{StateDir: p.stateDir}.Status(ctx)
	if err != nil {
		return err
	}
	for _, u := range status.Uplinks {
		for _, f := range u.Families {
			if f.LeftOut != "" {
				left := uplinks.LeftOut{Path: uplinks.PathKey{Uplink: u.Name, Family: f.Family}, Reason: f.LeftOut}
				fmt.Fprintf(p.stderr, "warning: %s\n", left)
				negative = errNegative
			}
		}
	}
	return negative
}

// requireNoService returns an error if the service runs, as it would undo a flush at once.
func (p *program) requireNoService(ctx context.Context) error {
	_, err := control.Client{StateDir: p.stateDir}.Status(ctx)
	if errors.Is(err, control.ErrNoService) || errors.Is(err, fs.ErrPermission) {
		return nil // without permission the flush fails with a better message
	}
	return errors.New("the service is running and would restore everything: stop it first (systemctl stop replypath)")
}
