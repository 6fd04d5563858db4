package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/uplinks"
	"replypath/uplinks/inspect"

	"github.com/spf13/cobra"
)

func (p *program) initCommand() *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Propose a configuration from this host's links, addresses and routes",
		Long: `Propose a configuration from this host's links, addresses and routes. Every link with
a gateway is proposed as an uplink. With --write the proposal is written to the
configuration file, which must not exist.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			facts, err := host.ReadFacts(cmd.Context())
			if err != nil {
				return err
			}
			text, err := propose(facts)
			if err != nil {
				return err
			}
			if !write {
				_, err = fmt.Fprint(p.stdout, text)
				return err
			}
			return p.writeConfig(text)
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "write the configuration file")
	return cmd
}

func propose(facts uplinks.Facts) (string, error) {
	settings, notes := inspect.Propose(facts)
	if len(settings.Uplinks) == 0 {
		return "", errors.New("no link of this host has a gateway: bring the uplinks up first, or write the configuration by hand, see /etc/replypath/replypath.toml.sample")
	}
	var text strings.Builder
	err := config.Propose(&text, settings, notes)
	return text.String(), err
}

// writeConfig writes the configuration file. It does not overwrite an existing one.
func (p *program) writeConfig(text string) error {
	if err := os.MkdirAll(filepath.Dir(p.configPath), 0o755); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	f, err := os.OpenFile(p.configPath, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s already exists: run replypath init without --write to see the proposal", p.configPath)
	}
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	_, err = fmt.Fprintf(p.stdout, "wrote %s: review it, then run: replypath plan\n", p.configPath)
	return err
}
