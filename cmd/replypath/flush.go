package main

import (
	"errors"
	"fmt"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/iproute"
	"replypath/cmd/internal/rollback"
	"replypath/cmd/internal/statedir"
	"replypath/marks"
	"replypath/uplinks"
	"replypath/uplinks/inspect"

	"github.com/spf13/cobra"
)

func (p *program) flushCommand() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use:   "flush",
		Short: "Remove everything that replypath has set",
		Long: `Remove all rules, routes and chains of replypath, and restore the sysctls and link
groups from before it. It needs no configuration, and works after a crash.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.requireNoService(cmd.Context()); err != nil {
				return err
			}
			h, err := p.openLockedHost(cmd.Context(), config.Config{Settings: uplinks.Settings{Backend: marks.Auto}})
			if err != nil {
				return err
			}
			defer h.Close()
			if err := p.leaveOurs(); err != nil {
				return err
			}
			_, before, err := uplinks.Preview(cmd.Context(), h, uplinks.Settings{}, nil)
			if err != nil {
				return err
			}
			plan, err := uplinks.Sync(cmd.Context(), h, uplinks.Settings{})
			if err != nil {
				return err
			}
			if err := p.forgetState(h); err != nil {
				return err
			}
			if err := iproute.WriteTableNames(uplinks.Settings{}); err != nil {
				fmt.Fprintf(p.stderr, "warning: %v\n", err)
			}
			return p.printApplyReport(plan, inspect.BeforeChange(uplinks.Settings{}, before), nil, "removed")
		},
	})
}

// forgetState deletes the saved originals and the applied configuration from the state directory.
func (p *program) forgetState(h *host.Host) error {
	d, err := statedir.Open(p.stateDir)
	if err != nil {
		return err
	}
	return errors.Join(h.DropOriginals(), h.DropDrained(), rollback.Forget(d))
}
