package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/explain"
	"replypath/cmd/internal/iproute"
	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"
)

// checkPolicies looks up the way out of each policy.
func checkPolicies(ctx context.Context, c config.Config, facts uplinks.Facts, paths []health.Path) ([]explain.PolicyCheck, error) {
	if !c.Outbound.Enabled() {
		return []explain.PolicyCheck{}, nil
	}
	e, err := explain.Open(c.Settings, iproute.Names())
	if err != nil {
		return nil, err
	}
	defer e.Close()
	peers, lan := map[uplinks.Family]netip.Addr{}, map[uplinks.Family]explain.Sender{}
	for _, f := range uplinks.Families {
		if free := proof.PeerBlocks(facts, f); len(free) > 0 {
			peers[f] = proof.PeerAddr(free[0], 1)
		}
		if host := proof.FindLANHost(facts, paths, f); host != nil {
			if name, found := facts.LinkName(host.Link); found {
				lan[f] = explain.Sender{Link: name, Addr: host.Addr}
			}
		}
	}
	return e.CheckPolicies(ctx, facts, peers, lan)
}

// printPolicies prints the way out of each policy, and why it is not right.
func printPolicies(out io.Writer, all []explain.PolicyCheck) error {
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\npolicy\tfamily\tby\tpacket\tuplinks\tverdict")
	for _, c := range all {
		by := strings.Join(c.Uplinks, ",")
		if by == "" {
			by = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Policy, c.Family, c.By, c.Packet, by, resultWord(c.ProofCheck))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range all {
		if c.Detail != "" {
			fmt.Fprintf(out, "policy %s %s (%s): %s (%s): %s\n", c.Policy, c.Family, c.By, resultWord(c.ProofCheck), c.Cause, c.Detail)
			if c.Remedy != "" {
				fmt.Fprintf(out, "  %s\n", c.Remedy)
			}
		}
	}
	return nil
}
