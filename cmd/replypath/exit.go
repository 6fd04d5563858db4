package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
)

const (
	defaultConfig = config.DefaultPath
	defaultState  = host.Folder
)

// The exit statuses.
const (
	done    = 0 // yes, or done
	failed  = 1 // could not
	invalid = 2 // wrong usage, or invalid configuration
	no      = 3 // the answer is no
)

// errNo is the error of a command whose answer is no, and which has said so already.
var errNo = errors.New("no")

// exit tells people what went wrong, once, and gives the exit status for it.
func (p *program) exit(err error) int {
	var mistakes config.Mistakes
	switch {
	case err == nil:
		return done
	case errors.Is(err, errNo):
		return no
	case errors.As(err, &mistakes):
		fmt.Fprintln(p.stderr, mistakes)
		return invalid
	case !p.begun:
		fmt.Fprintf(p.stderr, "replypath: %v: see replypath --help\n", err)
		return invalid
	case errors.Is(err, errNoConfig), errors.Is(err, errUsage):
		fmt.Fprintf(p.stderr, "replypath: %v\n", err)
		return invalid
	}
	fmt.Fprintf(p.stderr, "replypath: %v\n", err)
	return failed
}

// errUsage is the error of a flag whose value makes no sense.
var errUsage = errors.New("wrong usage")

var errNoConfig = errors.New("there is no configuration")

func (p *program) read() (config.Config, error) {
	c, err := config.Read(p.config)
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%w at %s: let one be proposed: replypath init --write", errNoConfig, p.config)
	}
	return c, err
}

// print writes a value as JSON for programs.
func (p *program) print(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
