package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"replypath/cmd/internal/config"
	"replypath/cmd/internal/host"
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
			c, err := p.read()
			if err != nil {
				return err
			}
			if err := privileged(); err != nil {
				return err
			}
			v, err := p.verify(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err := p.printVerified(v); err != nil {
				return err
			}
			if v.Result == health.No {
				return errNo
			}
			return nil
		},
	})
}

// verified is a proof of all paths, for programs.
type verified struct {
	Version int           `json:"version"`
	Result  health.Result `json:"result"`
	Took    float64       `json:"took_seconds"`
	Paths   []verifiedWay `json:"paths"`
}

type verifiedWay struct {
	Uplink    string             `json:"uplink"`
	Family    string             `json:"family"`
	Interface string             `json:"interface"`
	Asked     health.Check       `json:"asked"`
	Seen      *health.Seen       `json:"seen"` // absent: the counters could not be read
	Shown     health.Check       `json:"shown"`
	Questions []verifiedQuestion `json:"questions"`
}

type verifiedQuestion struct {
	Kind  proof.Kind `json:"kind"`
	Proto string     `json:"protocol"`
	To    string     `json:"to"`
	From  string     `json:"from"`
	Left  string     `json:"left_by,omitempty"` // the answer would have
	health.Check
}

func (p *program) verify(ctx context.Context, c config.Config) (v verified, err error) {
	facts, err := host.Facts(ctx)
	if err != nil {
		return v, err
	}
	paths := health.Paths(c.Settings, facts)
	began := time.Now()
	findings, err := host.Prove(ctx, c.Health, paths)
	if err != nil {
		return v, err
	}
	took := time.Since(began)
	seen := p.seen(ctx, c, paths)
	v = verified{Version: 1, Result: proof.Result(findings), Took: took.Seconds(), Paths: []verifiedWay{}}
	for _, f := range findings {
		family, _ := f.Path.Family.MarshalText()
		way := verifiedWay{Uplink: f.Path.Uplink, Family: string(family), Interface: f.Path.Link, Asked: f.Asked, Shown: f.Shown,
			Questions: []verifiedQuestion{}}
		if n, there := seen[f.Path.Key]; there {
			way.Seen = &n
		}
		for _, a := range f.Answers {
			q := a.Question
			way.Questions = append(way.Questions, verifiedQuestion{Kind: q.Kind, Proto: q.Proto, To: q.To.String(), From: q.From.String(), Left: a.Left, Check: a.Check})
		}
		v.Paths = append(v.Paths, way)
	}
	return v, nil
}

// seen are the replies of real connections since the counters began. A host whose counters cannot be read, as one on
// which nothing is applied, can be proven all the same.
func (p *program) seen(ctx context.Context, c config.Config, paths []health.Path) map[health.Key]health.Seen {
	h, err := p.open(ctx, c)
	if err != nil {
		return nil
	}
	defer h.Close()
	seen, err := h.Replies(ctx, paths)
	if err != nil {
		return nil
	}
	return seen
}

func (p *program) printVerified(v verified) error {
	if p.json {
		return p.print(v)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "uplink\tfamily\tinterface\tasked\tseen\tshown")
	for _, way := range v.Paths {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", way.Uplink, way.Family, way.Interface, way.Asked.Result, counted(way.Seen), way.Shown.Result)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, way := range v.Paths {
		for _, line := range way.reasons() {
			fmt.Fprintf(p.stdout, "%s %s %s\n", way.Uplink, way.Family, line)
		}
	}
	return nil
}

// counted is how many replies of real connections were right, and how many strayed.
func counted(s *health.Seen) string {
	switch {
	case s == nil:
		return "-"
	case s.Stray > 0:
		return fmt.Sprintf("%d right, %d stray", s.Symmetric, s.Stray)
	}
	return fmt.Sprintf("%d right", s.Symmetric)
}

// reasons say why something is not right, and what could not be found out, each once.
func (way verifiedWay) reasons() (lines []string) {
	told := map[string]bool{}
	tell := func(what string, c health.Check) {
		if c.Result != health.Yes && !told[c.Why] {
			told[c.Why] = true
			lines = append(lines, fmt.Sprintf("%s: %s (%s): %s\n  %s", what, c.Result, c.Cause, c.Why, c.Remedy))
		}
	}
	tell("asked", way.Asked)
	tell("shown", way.Shown)
	for _, q := range way.Questions {
		tell("shown", q.Check)
	}
	return lines
}
