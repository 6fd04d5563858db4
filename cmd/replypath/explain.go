package main

import (
	"context"
	"errors"
	"fmt"

	"replypath/cmd/internal/explain"
	"replypath/cmd/internal/host"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

func (p *program) explainCommand() *cobra.Command {
	var asked packetFlags
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "explain ADDRESS",
		Short: "Tell a packet's way through the routing rules, and whether the kernel agrees",
		Long: `Tell the way of a packet to ADDRESS through the routing policy database: each rule
that it visits, whose rule it is, why it is not for the packet, which route its
table has and what becomes of it; > marks the one that decided. Then the kernel is
asked the same. Nothing is sent or changed, and no privilege is needed.

Without --in it is a packet of this host's own. With --in it has come in by that
interface from the address --from, and the source check (rp_filter) is made too.

The exit status is 3 when the packet gets nowhere, or the kernel says otherwise.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			packet, err := asked.packet(args[0])
			if err != nil {
				return err
			}
			return p.explain(cmd.Context(), func(ctx context.Context, e *explain.Explainer) (bool, error) {
				way, err := e.Way(ctx, packet)
				if err != nil {
					return false, err
				}
				if p.json {
					return way.Arrives(), p.print(e.Report(way))
				}
				return way.Arrives(), e.Print(p.stdout, way)
			})
		},
	})
	asked.add(cmd.Flags())
	return cmd
}

// explain gives the answer yes or no to what tell tells.
func (p *program) explain(ctx context.Context, tell func(context.Context, *explain.Explainer) (bool, error)) error {
	s, err := p.settings()
	if err != nil {
		return err
	}
	e, err := explain.Open(s, host.Names())
	if err != nil {
		return err
	}
	defer e.Close()
	yes, err := tell(ctx, e)
	if err == nil && !yes {
		return errNo
	}
	return err
}

// settings are those of the configuration; where there is none they have no uplinks.
func (p *program) settings() (uplinks.Settings, error) {
	c, err := p.read()
	if errors.Is(err, errNoConfig) {
		return uplinks.DefaultSettings(), nil
	}
	if err != nil {
		return uplinks.Settings{}, fmt.Errorf("tell uplinks by their names: %w", err)
	}
	return c.Settings, nil
}
