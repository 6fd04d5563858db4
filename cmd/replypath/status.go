package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"replypath/cmd/internal/control"
	"replypath/cmd/terminal"
	"replypath/health"

	"github.com/spf13/cobra"
)

func (p *program) statusCommand() *cobra.Command {
	var watch, quiet bool
	var uplink string
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "status",
		Short: "Print the status of the running service and its uplinks",
		Long: `Print the status of the running service: whether the kernel is in sync, delayed
repairs, how the configuration file differs from what is in force, and the result of
the last reload; then each uplink and family with its
state, the mean round-trip time and loss of its recent probes, how its reply path is
proven, and since when. PROOF is shown (test packets were sent back by the uplink),
asked (only the kernel's route look-up agrees) or no. Then, with [outbound], what each
policy uses: its tier, the share of each uplink in new connections, how many are
pinned to it, and how connections were last moved.

The exit status is 3 if the kernel is not in sync, the last reload was rejected, the
start did not use the configuration file, an uplink is unproven, down or absent, or
the peer differs.

With --uplink it is the status of this uplink alone, and the exit status is 3 unless
the uplink is up or on standby: for a track_script of keepalived. --quiet prints
nothing.

With --watch it continues until it is interrupted, which is success: on a terminal it
redraws the table, otherwise it prints the status again on every change.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case watch && (quiet || uplink != ""):
				return fmt.Errorf("%w: --watch cannot be combined with --quiet and --uplink", errUsage)
			case uplink != "":
				return p.uplinkStatus(cmd.Context(), uplink, quiet)
			case watch:
				return p.watch(cmd.Context(), p.fetchStatus)
			}
			s, err := p.fetchStatus(cmd.Context())
			if err != nil {
				return err
			}
			if !quiet {
				err = p.printStatus(s)
			}
			if err != nil {
				return err
			}
			if !healthy(s) {
				return errNegative
			}
			return nil
		},
	})
	cmd.Flags().StringVar(&uplink, "uplink", "", "the status of the uplink `NAME` alone")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "print nothing: the exit status says it")
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

// uplinkStatus prints the status of one uplink. It returns errNegative unless the uplink is as it should be.
func (p *program) uplinkStatus(ctx context.Context, uplink string, quiet bool) error {
	s, err := control.Client{StateDir: p.stateDir}.UplinkStatus(ctx, uplink)
	if err != nil {
		return err
	}
	if len(s.Uplinks) != 1 || s.Uplinks[0].Name != uplink {
		var names []string
		for _, u := range s.Uplinks {
			names = append(names, u.Name)
		}
		return fmt.Errorf("%w: --uplink %q: the uplinks of the service are %s", errUsage, uplink, strings.Join(names, ", "))
	}
	u := s.Uplinks[0]
	switch {
	case quiet:
	case p.json:
		err = p.printJSON(u)
	default:
		var out strings.Builder
		writeTable(&out, s.Uplinks, time.Now(), terminal.NewPalette(p.stdout))
		_, err = io.WriteString(p.stdout, out.String())
	}
	if err == nil && !u.State.Well() {
		return errNegative
	}
	return err
}
