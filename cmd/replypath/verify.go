package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/prover"
	"replypath/health"
	"replypath/health/proof"

	"github.com/spf13/cobra"
)

func (p *program) verifyCommand() *cobra.Command {
	return p.jsonFlag(&cobra.Command{
		Use:   "verify",
		Short: "Prove that replies leave by the interface their connection came in on",
		Long: `Prove for each uplink and family that replies leave by the interface their connection
came in on. "asked" is the result of the kernel's route look-ups, "seen" counts the
replies of real connections, and "shown" is the result of test packets, which are
injected as if received on the uplink, and whose replies are captured before they get
on the wire. The service need not run. The exit status is 3 if "asked" or "shown" is no.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.readConfig()
			if err != nil {
				return err
			}
			if err := checkPrivileges(); err != nil {
				return err
			}
			v, err := p.verify(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err := p.printVerifyReport(v); err != nil {
				return err
			}
			if v.Result == health.No {
				return errNegative
			}
			return nil
		},
	})
}

// verifyReport is the result of verify in JSON.
type verifyReport struct {
	Version int           `json:"version"`
	Result  health.Result `json:"result"`
	Took    float64       `json:"took_seconds"`
	Paths   []pathReport  `json:"paths"`
}

type pathReport struct {
	Uplink    string              `json:"uplink"`
	Family    string              `json:"family"`
	Interface string              `json:"interface"`
	Asked     health.ProofCheck   `json:"asked"`
	Seen      *health.ReplyCounts `json:"seen"` // null if the counters could not be read
	Shown     health.ProofCheck   `json:"shown"`
	Requests  []requestReport     `json:"questions"`
}

type requestReport struct {
	Kind  proof.RequestKind `json:"kind"`
	Proto string            `json:"protocol"`
	To    string            `json:"to"`
	From  string            `json:"from"`
	Left  string            `json:"left_by,omitempty"` // the interface of the captured reply
	health.ProofCheck
}

func (p *program) verify(ctx context.Context, c config.Config) (v verifyReport, err error) {
	facts, err := host.ReadFacts(ctx)
	if err != nil {
		return v, err
	}
	paths := health.Paths(c.Settings, facts)
	began := time.Now()
	findings, err := prover.Prover{}.Prove(ctx, c.Health, paths)
	if err != nil {
		return v, err
	}
	took := time.Since(began)
	counters := p.replyCounters(ctx, c, paths)
	v = verifyReport{Version: 1, Result: proof.Overall(findings), Took: took.Seconds(), Paths: []pathReport{}}
	for _, f := range findings {
		family, _ := f.Path.Family.MarshalText()
		path := pathReport{Uplink: f.Path.Uplink, Family: string(family), Interface: f.Path.Link, Asked: f.Routes, Shown: f.Trace,
			Requests: []requestReport{}}
		if n, there := counters[f.Path.Key]; there {
			path.Seen = &n
		}
		for _, a := range f.Requests {
			q := a.Request
			path.Requests = append(path.Requests, requestReport{Kind: q.Kind, Proto: q.Proto, To: q.To.String(), From: q.From.String(), Left: a.Egress, ProofCheck: a.Check})
		}
		v.Paths = append(v.Paths, path)
	}
	return v, nil
}

// replyCounters returns the counters of the replies of real connections, or nil if they cannot be read, such as when nothing is
// applied: the proof does not need them.
func (p *program) replyCounters(ctx context.Context, c config.Config, paths []health.Path) map[health.Key]health.ReplyCounts {
	h, err := p.openHost(ctx, c)
	if err != nil {
		return nil
	}
	defer h.Close()
	counters, err := h.ReplyCounts(ctx, paths)
	if err != nil {
		return nil
	}
	return counters
}

func (p *program) printVerifyReport(v verifyReport) error {
	if p.json {
		return p.printJSON(v)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "uplink\tfamily\tinterface\tasked\tseen\tshown")
	for _, path := range v.Paths {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", path.Uplink, path.Family, path.Interface, path.Asked.Result, formatCounters(path.Seen), path.Shown.Result)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var failures labelled
	for _, path := range v.Paths {
		for _, line := range path.failures() {
			failures.add(path.Uplink+" "+path.Family, line)
		}
	}
	for _, f := range failures {
		fmt.Fprintf(p.stdout, "%s %s\n", strings.Join(f.labels, ", "), f.text)
	}
	return nil
}

// formatCounters formats the numbers of symmetric and of stray replies.
func formatCounters(s *health.ReplyCounts) string {
	switch {
	case s == nil:
		return "-"
	case s.Stray > 0:
		return fmt.Sprintf("%d right, %d stray", s.Symmetric, s.Stray)
	}
	return fmt.Sprintf("%d right", s.Symmetric)
}

// failures returns the reasons for all results other than yes, without duplicates.
func (path pathReport) failures() (lines []string) {
	printed := map[string]bool{}
	add := func(label string, c health.ProofCheck) {
		if c.Result != health.Yes && !printed[c.Detail] {
			printed[c.Detail] = true
			lines = append(lines, fmt.Sprintf("%s: %s (%s): %s\n  %s", label, c.Result, c.Cause, c.Detail, c.Remedy))
		}
	}
	add("asked", path.Asked)
	add("shown", path.Shown)
	for _, q := range path.Requests {
		add("shown", q.ProofCheck)
	}
	return lines
}
