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
	exitOK     = 0 // success
	exitFailed = 1 // error
	exitUsage  = 2 // wrong usage or invalid configuration
	exitNo     = 3 // success, with a negative result

	exitCannotRun = 126 // use: the command cannot be run
	exitNotFound  = 127 // use: the command is not found
)

// errNegative is returned by a command with a negative result, which it has printed already.
var errNegative = errors.New("negative result")

// exitStatus prints the error and returns the exit status.
func (p *program) exitStatus(err error) int {
	var mistakes config.Mistakes
	var command *commandError
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
	if errors.As(err, &command) {
		return command.status
	}
	return exitFailed
}

// errUsage is the error of invalid arguments and flags.
var errUsage = errors.New("wrong usage")

var errNoConfig = errors.New("no configuration")

func (p *program) readConfig() (config.Config, error) {
	c, _, err := p.readFiles()
	return c, err
}

// readFiles returns the configuration with its texts.
func (p *program) readFiles() (config.Config, config.Files, error) {
	files, err := config.ReadFiles(p.configPath)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w at %s: create one with replypath init --write", errNoConfig, p.configPath)
	}
	if err != nil {
		return config.Config{}, nil, err
	}
	c, err := files.Resolve()
	return c, files, err
}

// printJSON writes the value to standard output as indented JSON.
func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// negativeIf returns the error, or errNegative if there is none and the result is negative.
func negativeIf(is bool, err error) error {
	if err == nil && is {
		return errNegative
	}
	return err
}
