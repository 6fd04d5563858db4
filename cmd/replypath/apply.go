package main

import (
	"context"
	"fmt"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

func (p *program) applyCommand() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use:   "apply",
		Short: "Make the kernel as the configuration asks, once",
		Long: `Make the kernel as the configuration asks, once. What is right already is not
touched; when a part cannot be done, nothing stays changed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.read()
			if err != nil {
				return err
			}
			if told, err := p.tellService(cmd.Context()); told || err != nil {
				return err
			}
			h, err := p.openToWrite(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer h.Close()
			plan, err := uplinks.Change(cmd.Context(), h, c.Settings)
			if err != nil {
				return err
			}
			if err := host.NameTables(c.Settings); err != nil {
				fmt.Fprintf(p.stderr, "warning: %v\n", err)
			}
			facts, _, err := h.Observe(cmd.Context())
			if err != nil {
				return err
			}
			return p.tell(plan, uplinks.Findings(c.Settings, facts), "applied")
		},
	})
}

// changed is what was done, for programs.
type changed struct {
	Version  int               `json:"version"`
	Changed  bool              `json:"changed"`
	Steps    []step            `json:"steps"`
	Warnings []uplinks.Finding `json:"warnings"`
}

func (p *program) tell(plan uplinks.Plan, findings []uplinks.Finding, what string) error {
	if p.json {
		return p.print(changed{Version: 1, Changed: len(plan) > 0, Steps: steps(plan), Warnings: list(findings)})
	}
	p.warn(findings)
	if len(plan) == 0 {
		_, err := fmt.Fprintln(p.stdout, "in sync: nothing to do")
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "%s: %s\n", what, summary(plan))
	return err
}

func (p *program) open(ctx context.Context, c config.Config) (*host.Host, error) {
	if err := privileged(); err != nil {
		return nil, err
	}
	return host.Open(ctx, host.Options{State: p.state, Backend: c.Backend, TableBase: c.TableBase})
}

func (p *program) openToWrite(ctx context.Context, c config.Config) (*host.Host, error) {
	h, err := p.open(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := h.Lock(ctx); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}
