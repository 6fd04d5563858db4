package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/doctor/survey"
)

// applyFixes does what can be done without risk, after asking.
func (p *program) applyFixes(opts doctorOptions, findings []doctor.Finding) error {
	var fixes []survey.Fix
	for _, f := range findings {
		if f.Fixable {
			fixes = append(fixes, survey.Fixes(opts.root)[f.ID])
		}
	}
	if len(fixes) == 0 {
		fmt.Fprintln(p.stderr, "there is nothing that could be fixed without risk")
		return nil
	}
	if err := checkPrivileges(); err != nil {
		return err
	}
	for _, f := range fixes {
		fmt.Fprintf(p.stderr, "would do: %s\n", f.Action)
	}
	if !opts.yes {
		if sure, err := p.askConfirmation(os.Stdin); err != nil || !sure {
			return err
		}
	}
	return p.runFixes(fixes)
}

// runFixes does them all: one that cannot be done keeps none of the others back.
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

// askConfirmation asks who sits at the terminal.
func (p *program) askConfirmation(terminal *os.File) (bool, error) {
	if !isTerminal(terminal) {
		return false, errors.New("nobody can be asked here: say --yes to have it done")
	}
	fmt.Fprint(p.stderr, "do it? [y/N] ")
	answer, err := bufio.NewReader(terminal).ReadString('\n')
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}
