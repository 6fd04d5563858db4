package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"replypath/cmd/internal/control"
	"replypath/cmd/terminal"
	"replypath/health"

	"github.com/spf13/cobra"
)

func (p *program) statusCommand() *cobra.Command {
	var watch bool
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "status",
		Short: "Print the status of the running service and its uplinks",
		Long: `Print the status of the running service: whether the kernel is in sync, delayed
repairs, and the result of the last reload; then each uplink and family with its
state, the mean round-trip time and loss of its recent probes, how its reply path is
proven, and since when. PROOF is shown (test packets were sent back by the uplink),
asked (only the kernel's route look-up agrees) or no.

The exit status is 3 if the kernel is not in sync, the last reload was rejected, an
uplink is unproven, down or absent, or the peer differs.

With --watch it continues until it is interrupted, which is success: on a terminal it
redraws the table, otherwise it prints the status again on every change.`,
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
	cmd.Flags().BoolVar(&watch, "watch", false, "continue, and print the status again on every change")
	return cmd
}

func (p *program) fetchStatus(ctx context.Context) (health.Status, error) {
	status, err := control.Client{StateDir: p.stateDir}.Status(ctx)
	if errors.Is(err, control.ErrNoService) {
		return health.Status{}, fmt.Errorf("%w: start it (systemctl start replypath), or compare once: replypath plan", err)
	}
	return status, err
}

func healthy(s health.Status) bool {
	for _, u := range s.Uplinks {
		if !u.State.Well() {
			return false
		}
	}
	if s.Peer != nil && len(s.Peer.Differences) > 0 {
		return false
	}
	return s.InSync && s.Error == "" && (s.Reload == nil || s.Reload.Error == "")
}

func (p *program) printStatus(s health.Status) error {
	if p.json {
		return p.printJSON(s)
	}
	_, err := io.WriteString(p.stdout, statusText(s, time.Now(), terminal.NewPalette(p.stdout)))
	return err
}
