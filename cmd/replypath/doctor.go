package main

import (
	"context"
	"errors"
	"fmt"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/doctor/survey"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

// doctorOptions are what the doctor is told.
type doctorOptions struct {
	fix, yes bool
	root     string
}

func (p *program) doctorCommand() *cobra.Command {
	var opts doctorOptions
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
			return p.doctor(cmd.Context(), opts)
		},
	})
	flags := cmd.Flags()
	flags.BoolVar(&opts.fix, "fix", false, "do what can be done without risk, after asking")
	flags.BoolVar(&opts.yes, "yes", false, "with --fix: do not ask")
	flags.StringVar(&opts.root, "root", "/", "look at the files below this `DIR`")
	flags.Lookup("root").Hidden = true
	return cmd
}

func (p *program) doctor(ctx context.Context, opts doctorOptions) error {
	if opts.yes && !opts.fix {
		return fmt.Errorf("%w: --yes goes with --fix", errUsage)
	}
	c, err := p.readConfig()
	if errors.Is(err, errNoConfig) {
		c, err = config.Config{Settings: uplinks.DefaultSettings()}, nil
	}
	if err != nil {
		return err
	}
	examination := survey.Options{Root: opts.root, StateDir: p.stateDir, Settings: c.Settings, Health: c.Health, Privileged: checkPrivileges() == nil}
	findings, skipped, err := diagnose(ctx, examination)
	if err != nil {
		return err
	}
	if err := p.printDiagnosis(findings, skipped); err != nil {
		return err
	}
	if opts.fix {
		if err := p.applyFixes(opts, findings); err != nil {
			return err
		}
		if findings, _, err = diagnose(ctx, examination); err != nil {
			return err
		}
	}
	if !doctor.OnlyNotes(findings) {
		return errNegative
	}
	return nil
}

func diagnose(ctx context.Context, e survey.Options) ([]doctor.Finding, []doctor.Skipped, error) {
	snapshot, skipped, err := survey.Collect(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	return doctor.Diagnose(snapshot), skipped, nil
}

// doctorReport is what the doctor says, for programs.
type doctorReport struct {
	Version  int              `json:"version"`
	Findings []doctor.Finding `json:"findings"`
	Unseen   []doctor.Skipped `json:"unseen"`
}

func (p *program) printDiagnosis(findings []doctor.Finding, skipped []doctor.Skipped) error {
	if p.json {
		return p.printJSON(doctorReport{Version: 1, Findings: nonNil(findings), Unseen: nonNil(skipped)})
	}
	return p.writeDiagnosis(findings, skipped)
}
