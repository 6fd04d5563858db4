package main

import (
	"context"
	"fmt"
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
		Short: "Prove that replies leave by the interface their question came in on",
		Long: `Prove, now, for each uplink and family, that replies leave by the interface their
question came in on. The kernel is asked where it would send them, and questions
are made to arrive on the uplink: where their answers would leave is seen, and
nothing gets on the wire. The service need not run. The exit status is 3 when a
reply strays.`,
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

// verifyReport is a proof of all paths, for programs.
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
	Seen      *health.ReplyCounts `json:"seen"` // absent: the counters could not be read
	Shown     health.ProofCheck   `json:"shown"`
	Requests  []requestReport     `json:"questions"`
}

type requestReport struct {
	Kind  proof.RequestKind `json:"kind"`
	Proto string            `json:"protocol"`
	To    string            `json:"to"`
	From  string            `json:"from"`
	Left  string            `json:"left_by,omitempty"` // the answer would have
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

// replyCounters are the replies of real connections since the counters began. A host whose counters cannot be read, as one on
// which nothing is applied, can be proven all the same.
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
	for _, path := range v.Paths {
		for _, line := range path.failures() {
			fmt.Fprintf(p.stdout, "%s %s %s\n", path.Uplink, path.Family, line)
		}
	}
	return nil
}

// formatCounters is how many replies of real connections were right, and how many strayed.
func formatCounters(s *health.ReplyCounts) string {
	switch {
	case s == nil:
		return "-"
	case s.Stray > 0:
		return fmt.Sprintf("%d right, %d stray", s.Symmetric, s.Stray)
	}
	return fmt.Sprintf("%d right", s.Symmetric)
}

// failures say why something is not right, and what could not be found out, each once.
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
