package main

import (
	"context"
	"errors"
	"fmt"

	"replypath/cmd/internal/control"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

func (p *program) drainCommand() *cobra.Command {
	move := false
	cmd := &cobra.Command{
		Use:   "drain UPLINK",
		Short: "Take an uplink out of outbound connections",
		Long: `Take an uplink out of outbound connections, such as for maintenance: new ones take the
other uplinks of their policy. Those that are open stay, unless --move moves them as after
a failure. Replies are not concerned. It lasts until undrain, also across a restart of the
service; flush ends it too.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.drain(cmd.Context(), control.Drain{Uplink: args[0], Drained: true, Move: move})
		},
	}
	cmd.Flags().BoolVar(&move, "move", false, "also move the connections that are open")
	return cmd
}

func (p *program) undrainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "undrain UPLINK",
		Short: "Use an uplink again that was drained",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.drain(cmd.Context(), control.Drain{Uplink: args[0]})
		},
	}
}

// drain makes the service drain an uplink, or does it where no service runs.
func (p *program) drain(ctx context.Context, d control.Drain) error {
	if err := checkPrivileges(); err != nil {
		return err
	}
	err := control.Client{StateDir: p.stateDir}.Drain(ctx, d)
	if errors.Is(err, control.ErrNoService) {
		err = p.drainWithoutService(ctx, d)
	}
	if err != nil {
		return err
	}
	text := d.Uplink + " is used for outbound connections"
	if d.Drained {
		text = d.Uplink + " is drained: no outbound connection takes it until replypath undrain " + d.Uplink
	}
	_, err = fmt.Fprintln(p.stdout, text)
	return err
}

// drainWithoutService drains an uplink and applies the configuration.
func (p *program) drainWithoutService(ctx context.Context, d control.Drain) error {
	c, err := p.readConfig()
	if err != nil {
		return err
	}
	if err := c.Settings.CheckDrain(d.Uplink); err != nil {
		return err
	}
	h, err := p.openLockedHost(ctx, c)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.SetDrained(d.Uplink, d.Drained); err != nil {
		return fmt.Errorf("save that %s is drained: %w", d.Uplink, err)
	}
	if _, _, err := uplinks.Change(ctx, h, c.Settings); err != nil || !d.Move {
		return err
	}
	facts, _, err := h.Observe(ctx)
	if err != nil {
		return err
	}
	_, err = h.MoveConnections(c.Settings.ResolveLinks(facts).Drain(d.Uplink, facts)...)
	return err
}
