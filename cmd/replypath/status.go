package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"replypath/cmd/internal/control"
	"replypath/health"

	"github.com/spf13/cobra"
)

func (p *program) statusCommand() *cobra.Command {
	var watch bool
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "status",
		Short: "Print how the running service and its uplinks stand",
		Long: `Print how the running service stands: whether the kernel is in sync, what waits and
why, and how the last reload ended; then each uplink in each family, with the mean
round trip and the loss of its last questions, how its reply path is proven (shown,
asked, or no), and since when it is so.

The exit status is 3 when not all is well: the kernel is not in sync, a reload was
refused, or an uplink is unproven, down or absent.

With --watch it goes on until it is interrupted, which is success: on a terminal it
draws the table anew, elsewhere it prints it again when something has changed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return p.watch(cmd.Context(), p.fetchStatus)
			}
			s, err := p.fetchStatus(cmd.Context())
			if err != nil {
				return err
			}
			if err := p.printStatus(s); err != nil {
				return err
			}
			if !healthy(s) {
				return errNegative
			}
			return nil
		},
	})
	cmd.Flags().BoolVar(&watch, "watch", false, "go on, and print it again when something has changed")
	return cmd
}

func (p *program) fetchStatus(ctx context.Context) (health.Status, error) {
	status, err := control.Client{StateDir: p.stateDir}.Status(ctx)
	if errors.Is(err, control.ErrNoService) {
		return health.Status{}, fmt.Errorf("%w: start it (systemctl start replypath), or look once: replypath plan", err)
	}
	return status, err
}

func healthy(s health.Status) bool {
	for _, u := range s.Uplinks {
		if u.State != health.Up {
			return false
		}
	}
	return s.InSync && s.Error == "" && (s.Reload == nil || s.Reload.Error == "")
}

func (p *program) printStatus(s health.Status) error {
	if p.json {
		return p.printJSON(s)
	}
	_, err := io.WriteString(p.stdout, statusText(s, time.Now(), newPalette(p.stdout)))
	return err
}
