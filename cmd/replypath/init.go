package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/doctor/survey"
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
a default route is proposed as an uplink, except tunnels: these, and links behind
which a router is that has no default route, are written as comments. So is a policy for
outbound connections, where several uplinks have a default route. With --write the proposal is written to the
configuration file, which must not exist.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			facts, err := host.ReadFacts(cmd.Context())
			if err != nil {
				return err
			}
			attrs, err := host.ReadLinkAttributes(cmd.Context())
			if err != nil {
				return err
			}
			text, err := propose(cmd.Context(), facts, attrs)
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

func propose(ctx context.Context, facts uplinks.Facts, attrs map[string]uplinks.LinkAttributes) (string, error) {
	proposal := inspect.Propose(facts, attrs)
	if len(proposal.Settings.Uplinks) == 0 {
		return "", errors.New("no link of this host has a default route: bring the uplinks up first, or write the configuration by hand, see /etc/replypath/replypath.toml.sample")
	}
	var text strings.Builder
	proposal.Comments[""] = append([]string{"The names of the tables are yours to choose, such as [uplinks.fibre] with interface = \"eth0\"."}, proposal.Comments[""]...)
	if servers := survey.SuspectUDPServers(ctx, proposal.Settings, facts); len(servers) > 0 {
		proposal.Comments[""] = append(proposal.Comments[""], "These reply from the wrong address where another uplink is asked: "+strings.Join(servers, ", ")+".", "The following two lines help them:", "[udp]", `answer = "asked"`)
	}
	err := config.Propose(&text, proposal.Settings, proposal.Comments, proposal.Doubtful...)
	if err == nil && proposal.Policy != nil {
		err = config.ProposePolicy(&text, proposal.Settings, *proposal.Policy)
	}
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
	_, err = fmt.Fprintf(p.stdout, "wrote %s: review it, then run:\n  replypath check                 # reports every mistake in it\n  replypath plan                  # prints what apply would change\n  replypath apply --confirm 60s   # rolls back unless replypath confirm follows\n", p.configPath)
	return err
}
