package main

import (
	"context"
	"errors"
	"fmt"

	"replypath/cmd/internal/explain"
	"replypath/cmd/internal/iproute"
	"replypath/uplinks"
	"replypath/uplinks/rpdb"

	"github.com/spf13/cobra"
)

func (p *program) explainCommand() *cobra.Command {
	var opts packetOptions
	var flow bool
	var listen string
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "explain ADDRESS | --flow CONNECTION | --listen PORT/PROTOCOL",
		Short: "Tell a packet's way through the routing rules, and whether the kernel agrees",
		Long: `Tell the way of a packet to ADDRESS through the routing policy database: each rule
that it visits, whose rule it is, why it is not for the packet, which route its
table has and what becomes of it; > marks the one that decided. Then the kernel is
asked the same. Nothing is sent or changed, and no privilege is needed.

Without --in it is a packet of this host's own. With --in it has come in by that
interface from the address --from, and the source check (rp_filter) is made too.

With --flow it looks a connection up (as root), says by its mark which uplink it is
pinned to, and tells the way of its answers. CONNECTION is a line of conntrack -L or
of ss, or as tcp 203.0.113.9:50000 192.0.2.2:443, in either direction.

With --listen it tells from which address, and by which uplink, who listens there
would answer a client (--from) on each uplink.

The exit status is 3 when the packet gets nowhere, an answer goes
wrong, or the kernel says otherwise.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.explain(cmd.Context(), func(ctx context.Context, e *explain.Explainer) (bool, error) {
				switch {
				case flow:
					return p.explainFlow(ctx, e, args)
				case listen != "" && len(args) == 0:
					return p.explainListen(ctx, e, listen, opts.from)
				case len(args) != 1 || listen != "":
					return false, fmt.Errorf("%w: explain wants one address, --flow CONNECTION or --listen PORT/PROTOCOL", errUsage)
				}
				packet, err := opts.packet(args[0])
				if err != nil {
					return false, err
				}
				return p.explainPacket(ctx, e, packet)
			})
		},
	})
	opts.add(cmd.Flags())
	cmd.Flags().BoolVar(&flow, "flow", false, "explain the answers of a connection, given as a line of conntrack -L or ss")
	cmd.Flags().StringVar(&listen, "listen", "", "explain the answers of who listens on `PORT/PROTOCOL`, as :1194/udp, to questions by each uplink")
	return cmd
}

func (p *program) explainPacket(ctx context.Context, e *explain.Explainer, packet rpdb.Packet) (bool, error) {
	trace, err := e.Trace(ctx, packet)
	if err != nil {
		return false, err
	}
	if p.json {
		return trace.Arrives(), p.printJSON(e.Report(trace))
	}
	return trace.Arrives(), e.Print(p.stdout, trace)
}

// explain gives the answer yes or no to what tell tells.
func (p *program) explain(ctx context.Context, trace func(context.Context, *explain.Explainer) (bool, error)) error {
	s, err := p.optionalSettings()
	if err != nil {
		return err
	}
	e, err := explain.Open(s, iproute.Names())
	if err != nil {
		return err
	}
	defer e.Close()
	ok, err := trace(ctx, e)
	if err == nil && !ok {
		return errNegative
	}
	return err
}

// optionalSettings are those of the configuration; where there is none they have no uplinks.
func (p *program) optionalSettings() (uplinks.Settings, error) {
	c, err := p.readConfig()
	if errors.Is(err, errNoConfig) {
		return uplinks.DefaultSettings(), nil
	}
	if err != nil {
		return uplinks.Settings{}, fmt.Errorf("tell uplinks by their names: %w", err)
	}
	return c.Settings, nil
}
