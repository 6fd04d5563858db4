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

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	fix, yes bool
	root     string
}

func (p *program) doctorCommand() *cobra.Command {
	var opts doctorOptions
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "doctor",
		Short: "Report what on this host would break the reply path",
		Long: `Report what on this host would break the reply path, each finding with evidence and a
remedy: programs that use the same mark bits, rule priorities or tables, reverse path
filters that ignore marks, servers that reply from the wrong address, saved firewall
rules and a systemd-networkd that would overwrite or delete rules of replypath,
missing kernel features, and the warnings of plan and check. It works without a
configuration too. Without root it lists the checks that it skipped.

With --fix it makes changes that are free of risk, after confirmation, and prints how
to undo them; --yes skips the confirmation.

The exit status is 3 if there are errors or warnings; notes do not count.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.doctor(cmd.Context(), opts)
		},
	})
	flags := cmd.Flags()
	flags.BoolVar(&opts.fix, "fix", false, "make changes that are free of risk, after confirmation")
	flags.BoolVar(&opts.yes, "yes", false, "with --fix: skip the confirmation")
	flags.StringVar(&opts.root, "root", "/", "read files below this `DIR`")
	flags.Lookup("root").Hidden = true
	return cmd
}

func (p *program) doctor(ctx context.Context, opts doctorOptions) error {
	if opts.yes && !opts.fix {
		return fmt.Errorf("%w: --yes requires --fix", errUsage)
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

// doctorReport is the result of doctor in JSON.
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
