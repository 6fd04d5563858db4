package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/explain"
	"replypath/cmd/internal/host"
	"replypath/cmd/internal/prover"
	"replypath/health"
	"replypath/health/proof"
	"replypath/uplinks"

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
on the wire. "verdict" combines them; a warning means that replies are right although
something on their way is not. With [outbound], the way out of each policy follows:
of the default, and of a packet that fits each rule, by the kernel's route look-up.
The service need not run. The exit status is 3 if a
verdict is no.`,
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
	// Policies has the way out of each policy of [outbound].
	Policies []explain.PolicyCheck `json:"policies"`
	// Mismarked has the connections to an address of one uplink that have the mark of another.
	Mismarked []uplinks.MismarkedConnections `json:"mismarked"`
}

type pathReport struct {
	Uplink    string              `json:"uplink"`
	Family    string              `json:"family"`
	Interface string              `json:"interface"`
	Asked     health.ProofCheck   `json:"asked"`
	Seen      *health.ReplyCounts `json:"seen"` // null if the counters could not be read
	Shown     health.ProofCheck   `json:"shown"`
	Strays    health.ProofCheck   `json:"strays"`
	Verdict   health.ProofCheck   `json:"verdict"`
	Standby   string              `json:"standby,omitempty"` // the VIP that is not on this node
	Requests  []requestReport     `json:"questions"`
}

type requestReport struct {
	Kind  proof.RequestKind `json:"kind"`
	Proto string            `json:"protocol"`
	To    string            `json:"to"`
	From  string            `json:"from"`
	Left  string            `json:"left_by,omitempty"` // the interface of the captured reply
	Proxy *proxyReport      `json:"proxy,omitempty"`   // absent: no transparent proxy has taken it
	health.ProofCheck
}

func (p *program) verify(ctx context.Context, c config.Config) (v verifyReport, err error) {
	facts, err := host.ReadFacts(ctx)
	if err != nil {
		return v, err
	}
	c.Settings = c.Settings.ResolveLinks(facts)
	paths := health.Paths(c.Settings, facts)
	began := time.Now()
	findings, err := prover.Prover{}.ProveSubset(ctx, c.Health, facts, paths, paths)
	if err = cmp.Or(err, ctx.Err()); err != nil {
		return v, err
	}
	took := time.Since(began)
	counters, strays := p.replyCounters(ctx, c, paths)
	v = verifyReport{Version: 1, Took: took.Seconds(), Paths: []pathReport{}}
	var verdicts []health.Result
	for _, f := range findings {
		path := newPathReport(f, counters, strays)
		v.Paths, verdicts = append(v.Paths, path), append(verdicts, path.Verdict.Result)
	}
	if v.Policies, err = checkPolicies(ctx, c, facts, paths); err != nil {
		return v, err
	}
	v.Result = health.Overall(verdicts)
	for _, c := range v.Policies {
		if c.Result == health.No {
			v.Result = health.No
		}
	}
	v.Mismarked = mismarked(ctx, c, facts)
	return v, nil
}

func newPathReport(f proof.PathResult, counters map[health.Key]health.ReplyCounts, strays map[health.Key]health.ProofCheck) pathReport {
	family, _ := f.Path.Family.MarshalText()
	n, counted := counters[f.Path.Key]
	evidence := f.Proof(n)
	evidence.Strays = strays[f.Path.Key]
	evidence = evidence.WithUnknown()
	path := pathReport{Uplink: f.Path.Uplink, Family: string(family), Interface: f.Path.Link, Asked: evidence.Routes, Shown: evidence.Trace,
		Strays: evidence.Strays, Verdict: evidence.Verdict(), Requests: []requestReport{}}
	if counted {
		path.Seen = &n
	}
	if f.Path.Standby.IsValid() {
		path.Standby = f.Path.Standby.String()
	}
	for _, a := range f.Requests {
		q := a.Request
		path.Requests = append(path.Requests, requestReport{Kind: q.Kind, Proto: q.Proto, To: q.To.String(), From: q.From.String(), Left: a.Egress, Proxy: newProxyReport(a), ProofCheck: a.Check})
	}
	return path
}

// replyCounters returns the counters of the replies of real connections, and whether some of them have strayed since the last
// proof. Both are nil if they cannot be read, such as when nothing is applied: the proof does not need them.
func (p *program) replyCounters(ctx context.Context, c config.Config, paths []health.Path) (map[health.Key]health.ReplyCounts, map[health.Key]health.ProofCheck) {
	h, err := p.openHost(ctx, c)
	if err != nil {
		return nil, nil
	}
	defer h.Close()
	counters, err := h.ReplyCounts(ctx, paths)
	if err != nil {
		return nil, nil
	}
	recent, err := h.NewStrays(paths, 0)
	if err != nil {
		fmt.Fprintf(p.stderr, "warning: the next verify will report the same stray replies again: %v\n", err)
	}
	strays := map[health.Key]health.ProofCheck{}
	for _, path := range paths {
		if n, counted := counters[path.Key]; counted {
			strays[path.Key] = checkStrays(ctx, path, n, recent[path.Key])
		}
	}
	return counters, strays
}

// checkStrays returns whether replies of the path's real connections stray: some were counted since the last proof, or were
// counted earlier and the kernel routes such connections by another interface still.
func checkStrays(ctx context.Context, path health.Path, counts health.ReplyCounts, recent uint64) health.ProofCheck {
	if counts.Stray == 0 {
		return health.StrayCheck(0, "", "")
	}
	examples, _ := prover.Prover{}.StrayExamples(ctx, path) // without the right to list connections there are none
	if recent == 0 && examples != "" {
		return path.StrayCheck(counts.Stray, "since they were counted first, and still do", examples)
	}
	return path.StrayCheck(recent, "since the last proof", examples)
}

func (p *program) printVerifyReport(v verifyReport) error {
	if p.json {
		return p.printJSON(v)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "uplink\tfamily\tinterface\tasked\tseen\tshown\tverdict")
	for _, path := range v.Paths {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", path.Uplink, path.Family, path.Interface, path.Asked.Result, formatCounters(path.Seen),
			path.Shown.Result, resultWord(path.Verdict))
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
	for _, line := range v.proxied() {
		fmt.Fprintln(p.stdout, line)
	}
	if err := printPolicies(p.stdout, v.Policies); err != nil {
		return err
	}
	for _, m := range v.Mismarked {
		fmt.Fprintf(p.stdout, "marks: there are %s\n  %s\n", m, uplinks.MismarkedRemedy)
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

// resultWord returns the result, with a word of its own for a warning.
func resultWord(c health.ProofCheck) string {
	if c.Warning() {
		return "warning"
	}
	return string(c.Result)
}

// failures returns the reasons for all results other than a plain yes, without duplicates.
func (path pathReport) failures() (lines []string) {
	if path.Standby != "" {
		return []string{fmt.Sprintf("standby: nothing to show: %s is not on this node", path.Standby)}
	}
	printed := map[string]bool{}
	add := func(label string, c health.ProofCheck) {
		if c.Detail != "" && !printed[c.Detail] {
			printed[c.Detail] = true
			lines = append(lines, fmt.Sprintf("%s: %s (%s): %s\n  %s", label, resultWord(c), c.Cause, c.Detail, c.Remedy))
		}
	}
	add("asked", path.Asked)
	add("seen", path.Strays)
	add("shown", path.Shown)
	for _, q := range path.Requests {
		add("shown", q.ProofCheck)
	}
	return lines
}
