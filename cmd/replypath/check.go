package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/doctor"
	"replypath/cmd/internal/doctor/survey"
	"replypath/cmd/internal/host"
	"replypath/health"
	"replypath/uplinks"
	"replypath/uplinks/inspect"

	"github.com/spf13/cobra"
)

// checkReport is the result of check in JSON.
type checkReport struct {
	Version  int               `json:"version"`
	Valid    bool              `json:"valid"`
	Mistakes []mistakeReport   `json:"mistakes"`
	Warnings []inspect.Finding `json:"warnings"`
	Uplinks  []detectionTime   `json:"uplinks"`
	Policies []failoverTime    `json:"policies"`
	// AutoPrefixes has the networks of each uplink with prefixes = "auto".
	AutoPrefixes map[string][]netip.Prefix `json:"auto_prefixes,omitempty"`
	Peer         *peerReport               `json:"peer,omitempty"` // nil without --peer
	LeftOut      []leftOutReport           `json:"left_out"`       // as apply leaves it out
}

const checkHelp = `Check the configuration and report all mistakes, each with its position and a remedy.
Then compare the configuration with the links and routes of this host, and print
warnings. Finally print for each uplink the longest time until a failure is detected,
and for each policy of [outbound] the longest time until new connections take another
uplink.
Nothing is changed, and no privileges are needed; as root, the rules of the firewall
are compared too. The exit status is 3 if apply would leave out an uplink, as one whose
gateway is in a network of another interface.

With --peer it also compares the configuration with the other node of a pair, by the
endpoint of the service there, and prints every difference of what must agree (see
"fingerprint"). The exit status is also 3 if there is one. Token and certificates are those
of [peer] in the configuration unless flags name others.

With --start it only tells, for the scripts of init systems, whether the service would
start: also with a configuration that has mistakes, if the last confirmed one is saved.`

func (p *program) checkCommand() *cobra.Command {
	var peer health.PeerSettings
	var start bool
	cmd := p.jsonFlag(&cobra.Command{
		Use:   "check",
		Short: "Check the configuration and report all mistakes",
		Long:  checkHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.readConfig()
			if start {
				return p.checkStart(err)
			}
			var mistakes config.Mistakes
			if p.json && errors.As(err, &mistakes) {
				return errors.Join(p.printJSON(checkReport{Version: 1, Mistakes: mistakeReports(mistakes), Warnings: nonNil[inspect.Finding](nil), Uplinks: nonNil[detectionTime](nil), Policies: nonNil[failoverTime](nil), LeftOut: leftOutReports(nil)}), err)
			}
			if err != nil {
				return err
			}
			facts, err := host.ReadFacts(cmd.Context())
			if err != nil {
				return err
			}
			compared, err := comparePeer(cmd.Context(), c, peer)
			if err != nil {
				return err
			}
			findings, all := slices.Concat(hostFindings(c, facts), p.sharingFindings(cmd.Context(), c, facts)), detectionTimes(c, facts)
			policies, left := failoverTimes(c, facts), facts.LeftOut(c.Settings)
			if p.json {
				err := p.printJSON(checkReport{Version: 1, Valid: true, Mistakes: []mistakeReport{}, Warnings: nonNil(findings), Uplinks: all, Policies: policies,
					AutoPrefixes: autoPrefixes(c, facts), Peer: compared, LeftOut: leftOutReports(left)})
				return negativeIf(len(left) > 0, compared.result(err))
			}
			p.printWarnings(findings)
			_, err = fmt.Fprintf(p.stdout, "%s: ok, %s\n", p.configPath, pluralize(len(c.Uplinks), "uplink"))
			for _, e := range all {
				if err == nil {
					_, err = fmt.Fprintln(p.stdout, e)
				}
			}
			for _, e := range policies {
				if err == nil {
					_, err = fmt.Fprintln(p.stdout, e)
				}
			}
			if err != nil {
				return err
			}
			return negativeIf(len(left) > 0, errors.Join(p.printAutoPrefixes(c, facts), p.printPeer(compared)))
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&peer.URL, "peer", "", "compare with the node whose endpoint has this `URL`")
	flags.StringVar(&peer.TokenFile, "peer-token", "", "with --peer: the `FILE` with its bearer token")
	flags.StringVar(&peer.CAFile, "peer-ca", "", "with --peer: verify its certificate with those in this `FILE`")
	flags.BoolVar(&start, "start", false, "only tell whether the service would start")
	return cmd
}

// checkStart returns the error of the configuration, unless the service would start with the last confirmed one: then it prints
// the error as a warning.
func (p *program) checkStart(broken error) error {
	if broken == nil || errors.Is(broken, errNoConfig) {
		return broken
	}
	if _, err := p.store().Confirmed(); err != nil {
		return broken
	}
	_, err := fmt.Fprintf(p.stderr, "warning: %v\n%s is not used: the service starts with the last confirmed configuration\n", broken, p.configPath)
	return err
}

// hostFindings compares the configuration with the host, as far as that needs no privileges.
func hostFindings(c config.Config, facts uplinks.Facts) []inspect.Finding {
	return slices.Concat(
		inspect.Findings(c.Settings, facts),
		health.Findings(c.Health, c.Settings, facts),
		c.Endpoint.Findings(),
		c.Peer.Findings(),
		fileFindings(c),
	)
}

// sharingFindings returns the findings about what other programs use too. As root, these include the rules of the firewall.
func (p *program) sharingFindings(ctx context.Context, c config.Config, facts uplinks.Facts) (all []inspect.Finding) {
	o := survey.Options{Root: "/", StateDir: p.stateDir, Settings: c.Settings, Privileged: checkPrivileges() == nil}
	for _, f := range doctor.DiagnoseSharing(survey.Sharing(ctx, o, facts)) {
		what := f.Message
		if len(f.Evidence) > 0 {
			what += " (" + strings.Join(f.Evidence, "; ") + ")"
		}
		remedy := strings.Join(append([]string{f.Remedy}, f.Commands...), "; ")
		all = append(all, inspect.Finding{What: what, Remedy: remedy})
	}
	return all
}

type mistakeReport struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

func mistakeReports(mistakes config.Mistakes) []mistakeReport {
	all := []mistakeReport{}
	for _, m := range mistakes {
		all = append(all, mistakeReport{m.File, m.Line, m.Col, m.Message, m.Remedy})
	}
	return all
}
