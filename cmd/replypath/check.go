package main

import (
	"errors"
	"fmt"
	"slices"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/uplinks"

	"github.com/spf13/cobra"
)

// checked is a configuration's verdict, for programs.
type checked struct {
	Version  int               `json:"version"`
	Valid    bool              `json:"valid"`
	Mistakes []mistake         `json:"mistakes"`
	Warnings []uplinks.Finding `json:"warnings"`
	Uplinks  []expected        `json:"uplinks"`
}

func (p *program) checkCommand() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use:   "check",
		Short: "Read the configuration and name every mistake in it",
		Long: `Read the configuration and name every mistake in it, with its place and the remedy.
Then compare it with this host's links and routes; what is found there is a warning.
At last say for each uplink how soon it counts as down when nobody answers any more.
Nothing is changed, and no privilege is needed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.read()
			var mistakes config.Mistakes
			if p.json && errors.As(err, &mistakes) {
				return errors.Join(p.print(checked{Version: 1, Mistakes: wrong(mistakes), Warnings: list[uplinks.Finding](nil), Uplinks: list[expected](nil)}), err)
			}
			if err != nil {
				return err
			}
			facts, err := host.Facts(cmd.Context())
			if err != nil {
				return err
			}
			findings, all := lookAround(c, facts), expect(c, facts)
			if p.json {
				return p.print(checked{Version: 1, Valid: true, Mistakes: []mistake{}, Warnings: list(findings), Uplinks: all})
			}
			p.warn(findings)
			_, err = fmt.Fprintf(p.stdout, "%s: ok, %s\n", p.config, count(len(c.Uplinks), "uplink"))
			for _, e := range all {
				if err == nil {
					_, err = fmt.Fprintln(p.stdout, e)
				}
			}
			return err
		},
	})
}

// lookAround compares the configuration with the host as far as anybody may look.
func lookAround(c config.Config, facts uplinks.Facts) []uplinks.Finding {
	return slices.Concat(
		uplinks.Findings(c.Settings, facts),
		health.Findings(c.Health, c.Settings, facts),
		c.Endpoint.Findings(),
		files(c),
	)
}

type mistake struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

func wrong(mistakes config.Mistakes) []mistake {
	all := []mistake{}
	for _, m := range mistakes {
		all = append(all, mistake{m.File, m.Line, m.Col, m.Message, m.Remedy})
	}
	return all
}
