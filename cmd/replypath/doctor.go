package main

import (
	"context"
	"errors"
	"fmt"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/host"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

// doctorFlags are what the doctor is told.
type doctorFlags struct {
	fix, yes bool
	root     string
}

func (p *program) doctorCommand() *cobra.Command {
	var asked doctorFlags
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "doctor",
		Short: "Look at the host and name what would break the reply path",
		Long: `Look at the host and name what would break the reply path, each with what was seen
and what to do: programs that use the same mark bits, rule priorities or tables,
source checks that do not see marks, servers that answer from the wrong address,
saved firewall rules and systemd-networkd that would delete or spoil what apply
does, missing kernel features, and what plan and check warn of. It works without a
configuration too. Without root it says what it could not look at.

With --fix it does what it can do without risk, after it has asked, and says how to
undo it; --yes does not ask.

The exit status is 3 when there are errors or warnings; a note is none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.doctor(cmd.Context(), asked)
		},
	})
	flags := cmd.Flags()
	flags.BoolVar(&asked.fix, "fix", false, "do what can be done without risk, after asking")
	flags.BoolVar(&asked.yes, "yes", false, "with --fix: do not ask")
	flags.StringVar(&asked.root, "root", "/", "look at the files below this `DIR`")
	flags.Lookup("root").Hidden = true
	return cmd
}

func (p *program) doctor(ctx context.Context, asked doctorFlags) error {
	if asked.yes && !asked.fix {
		return fmt.Errorf("%w: --yes goes with --fix", errUsage)
	}
	c, err := p.read()
	if errors.Is(err, errNoConfig) {
		c, err = config.Config{Settings: uplinks.DefaultSettings()}, nil
	}
	if err != nil {
		return err
	}
	examination := host.Examination{Root: asked.root, State: p.state, Settings: c.Settings, Health: c.Health, Privileged: privileged() == nil}
	findings, unseen, err := diagnose(ctx, examination)
	if err != nil {
		return err
	}
	if err := p.tellDiagnosis(findings, unseen); err != nil {
		return err
	}
	if asked.fix {
		if err := p.fix(asked, findings); err != nil {
			return err
		}
		if findings, _, err = diagnose(ctx, examination); err != nil {
			return err
		}
	}
	if !doctor.Well(findings) {
		return errNo
	}
	return nil
}

func diagnose(ctx context.Context, e host.Examination) ([]doctor.Finding, []doctor.Unseen, error) {
	seen, unseen, err := host.Examine(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	return doctor.Diagnose(seen), unseen, nil
}

// diagnosis is what the doctor says, for programs.
type diagnosis struct {
	Version  int              `json:"version"`
	Findings []doctor.Finding `json:"findings"`
	Unseen   []doctor.Unseen  `json:"unseen"`
}

func (p *program) tellDiagnosis(findings []doctor.Finding, unseen []doctor.Unseen) error {
	if p.json {
		return p.print(diagnosis{Version: 1, Findings: list(findings), Unseen: list(unseen)})
	}
	return p.writeDiagnosis(findings, unseen)
}
