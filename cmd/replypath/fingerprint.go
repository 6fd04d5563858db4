package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"replypath/cmd/internal/config"
	"replypath/health"
	"replypath/health/endpoint"
	"replypath/uplinks/inspect"

	"github.com/spf13/cobra"
)

func (p *program) fingerprintCommand() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use:   "fingerprint",
		Short: "Print what both nodes of a pair must have in common",
		Long: `Print what both nodes of a high-availability pair must have in common, and a hash of
it that is the same on every host: the mask, the id, mark and table of each uplink,
and the bit that marks connections opened from inside. It is read from the
configuration; that of the running service is in "status --json" and in the metrics.
To compare two nodes, see "check --peer".`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := p.readConfig()
			if err != nil {
				return err
			}
			f := health.NewFingerprint(c.Settings)
			if p.json {
				return p.printJSON(f)
			}
			w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintf(w, "%s\nmask %s, outbound bit %s, table_base %d\n", f.Value, f.Mask, f.OutboundBit, f.TableBase)
			fmt.Fprintln(w, "uplink\tid\tmark\ttable")
			for _, u := range f.Uplinks {
				fmt.Fprintf(w, "%s\t%d\t%s\t%d\n", u.Name, u.ID, u.Mark, u.Table)
			}
			return w.Flush()
		},
	})
}

// peerReport is the result of check --peer in JSON.
type peerReport struct {
	URL         string   `json:"url"`
	Fingerprint string   `json:"fingerprint"`
	Differences []string `json:"differences"`
}

// peerSettings returns the peer that the flags name. Token and certificates are those of [peer] unless flags name others.
func peerSettings(c config.Config, flags health.PeerSettings) (health.PeerSettings, error) {
	if message, remedy := config.CheckPeerURL(flags.URL); message != "" {
		return flags, fmt.Errorf("%w: --peer %q %s: %s", errUsage, flags.URL, message, remedy)
	}
	if flags.TokenFile == "" {
		flags.TokenFile = c.Peer.TokenFile
	}
	if flags.CAFile == "" {
		flags.CAFile = c.Peer.CAFile
	}
	return flags, nil
}

// comparePeer compares the configuration with what is in force on the peer. It returns nil if the flags name none.
func comparePeer(ctx context.Context, c config.Config, flags health.PeerSettings) (*peerReport, error) {
	if flags == (health.PeerSettings{}) {
		return nil, nil
	}
	peer, err := peerSettings(c, flags)
	if err != nil {
		return nil, err
	}
	there, err := endpoint.FetchFingerprint(ctx, peer)
	if err != nil {
		return nil, err
	}
	return &peerReport{URL: peer.URL, Fingerprint: there.Value, Differences: nonNil(health.NewFingerprint(c.Settings).Differences(there))}, nil
}

// printPeer prints the comparison. It returns errNegative if the peer differs.
func (p *program) printPeer(r *peerReport) error {
	if r == nil {
		return nil
	}
	if len(r.Differences) == 0 {
		_, err := fmt.Fprintf(p.stdout, "peer %s: agrees, fingerprint %s\n", r.URL, r.Fingerprint)
		return err
	}
	var all []inspect.Finding
	for _, d := range r.Differences {
		all = append(all, inspect.Finding{What: "the peer " + r.URL + " differs: " + d, Remedy: health.PeerRemedy})
	}
	p.printWarnings(all)
	return errNegative
}

// result returns the error, or errNegative if the peer differs.
func (r *peerReport) result(err error) error {
	return negativeIf(r != nil && len(r.Differences) > 0, err)
}
