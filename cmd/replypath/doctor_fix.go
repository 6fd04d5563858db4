package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/doctor/survey"
	"replypath/cmd/terminal"
)

// applyFixes applies the available fixes after confirmation.
func (p *program) applyFixes(opts doctorOptions, findings []doctor.Finding) error {
	var fixes []survey.Fix
	for _, f := range findings {
		if f.Fixable {
			fixes = append(fixes, survey.Fixes(opts.root)[f.ID])
		}
	}
	if len(fixes) == 0 {
		fmt.Fprintln(p.stderr, "no finding can be fixed automatically")
		return nil
	}
	if err := checkPrivileges(); err != nil {
		return err
	}
	for _, f := range fixes {
		fmt.Fprintf(p.stderr, "will do: %s\n", f.Action)
	}
	if !opts.yes {
		if sure, err := p.askConfirmation(os.Stdin); err != nil || !sure {
			return err
		}
	}
	return p.runFixes(fixes)
}

// runFixes applies all fixes, also after one has failed.
func (p *program) runFixes(fixes []survey.Fix) error {
	var errs []error
	for _, f := range fixes {
		if err := f.Apply(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Action, err))
			continue
		}
		fmt.Fprintf(p.stderr, "done: %s\n", f.Action)
		if f.Activate != "" {
			fmt.Fprintf(p.stderr, "  takes effect with: %s\n", f.Activate)
		}
		fmt.Fprintf(p.stderr, "  undo: %s\n", f.Undo)
	}
	return errors.Join(errs...)
}

// askConfirmation asks for confirmation on the terminal.
func (p *program) askConfirmation(in *os.File) (bool, error) {
	if !terminal.IsTerminal(in) {
		return false, errors.New("standard input is not a terminal, so there is no confirmation: run doctor --fix --yes")
	}
	fmt.Fprint(p.stderr, "apply? [y/N] ")
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}
