package main

import (
	"fmt"
	"slices"
	"strings"

	"replypath/uplinks"
	"replypath/uplinks/inspect"

	"github.com/spf13/cobra"
)

func (p *program) planCommand() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use:   "plan",
		Short: "Print the changes that apply would make, as shell commands",
		Long: `Print the changes that apply would make, as ip, iptables or nft, and sysctl commands. Nothing is
changed. If the kernel is in sync, nothing is printed and the exit status is 0;
otherwise it is 3.

With [outbound] the running service is asked which uplinks work, as it avoids those
that do not; those are named on the standard error. Without a service every uplink
counts as working.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.readConfig()
			if err != nil {
				return err
			}
			h, err := p.openHost(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer h.Close()
			h.CheckProxiesUntilSure(cmd.Context())
			health := p.serviceHealth(cmd.Context(), c)
			plan, now, err := uplinks.Preview(cmd.Context(), h, c.Settings, health.verdicts())
			if err != nil {
				return err
			}
			findings := slices.Concat(inspect.BeforeChange(c.Settings, now), p.sharingFindings(cmd.Context(), c, now.Facts))
			return p.printPlan(plan, findings, now.Facts.LeftOut(c.Settings), health)
		},
	})
}

func (p *program) printPlan(plan uplinks.Plan, findings []inspect.Finding, left []uplinks.LeftOut, health *planHealth) error {
	if note := health.note(len(plan) == 0); note != "" && !p.json {
		fmt.Fprintf(p.stderr, "note: %s\n", note)
	}
	switch {
	case p.json:
		if err := p.printJSON(newPlanReport(plan, findings, left, health)); err != nil {
			return err
		}
	case len(plan) == 0:
		p.printWarnings(findings)
	default:
		var text strings.Builder
		for _, f := range findings {
			fmt.Fprintf(&text, "# warning: %s\n", f)
		}
		if _, err := fmt.Fprint(p.stdout, text.String(), plan); err != nil {
			return err
		}
	}
	if len(plan) > 0 {
		return errNegative
	}
	return nil
}

// printWarnings prints findings to standard error, so that the output remains a shell script.
func (p *program) printWarnings(findings []inspect.Finding) {
	for _, f := range findings {
		fmt.Fprintf(p.stderr, "warning: %s\n", f)
	}
}

// planReport is a plan in JSON.
type planReport struct {
	Version  int               `json:"version"`
	InSync   bool              `json:"in_sync"`
	Steps    []stepReport      `json:"steps"`
	Warnings []inspect.Finding `json:"warnings"`
	LeftOut  []leftOutReport   `json:"left_out"`
	Health   *planHealth       `json:"health,omitempty"` // nil without [outbound]
}

type stepReport struct {
	Kind  string   `json:"kind"`
	Lines []string `json:"lines"`
}

func newPlanReport(plan uplinks.Plan, findings []inspect.Finding, left []uplinks.LeftOut, health *planHealth) planReport {
	return planReport{Version: 1, InSync: len(plan) == 0, Steps: stepReports(plan), Warnings: nonNil(findings), LeftOut: leftOutReports(left), Health: health}
}
