package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/statedir"
)

const (
	defaultConfig = config.DefaultPath
	defaultState  = statedir.DefaultPath
)

// The exit statuses.
const (
	exitOK     = 0 // yes, or done
	exitFailed = 1 // could not
	exitUsage  = 2 // wrong usage, or invalid configuration
	exitNo     = 3 // the answer is no
)

// errNegative is the error of a command whose answer is no, and which has said so already.
var errNegative = errors.New("no")

// exitStatus tells people what went wrong, once, and gives the exit status for it.
func (p *program) exitStatus(err error) int {
	var mistakes config.Mistakes
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNegative):
		return exitNo
	case errors.As(err, &mistakes):
		fmt.Fprintln(p.stderr, mistakes)
		return exitUsage
	case !p.parsed:
		fmt.Fprintf(p.stderr, "replypath: %v: see replypath --help\n", err)
		return exitUsage
	case errors.Is(err, errNoConfig), errors.Is(err, errUsage):
		fmt.Fprintf(p.stderr, "replypath: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(p.stderr, "replypath: %v\n", err)
	return exitFailed
}

// errUsage is the error of a flag whose value makes no sense.
var errUsage = errors.New("wrong usage")

var errNoConfig = errors.New("there is no configuration")

func (p *program) readConfig() (config.Config, error) {
	c, err := config.Read(p.configPath)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%w at %s: let one be proposed: replypath init --write", errNoConfig, p.configPath)
	}
	return c, err
}

// printJSON writes a value as JSON for programs.
func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
