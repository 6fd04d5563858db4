package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Print prints a trace as text: one line for each evaluated rule, the one that decided marked with >, then the kernel's answer
// and the result.
func (e *Explainer) Print(out io.Writer, w Trace) error {
	j := w.Result
	direction := "locally generated packet"
	if w.Packet.In != "" {
		direction = "incoming packet"
	}
	fmt.Fprintf(out, "%s: %s\n", direction, w.Packet)
	if w.Interception != nil {
		fmt.Fprintf(out, "intercepted: %s\n", w.Interception.Text())
	}
	if err := e.printSteps(out, w.Database, j.Steps); err != nil {
		return err
	}
	switch {
	case len(j.Reverse) == 0:
	case j.DropReason == "":
		fmt.Fprintf(out, "source check: passed (rp_filter=%d, effective)\n", w.Database.Links[w.Packet.In].Checks.RPFilter)
	default:
		fmt.Fprintf(out, "source check: reverse look-up of %s\n", j.ReversePacket)
		if err := e.printSteps(out, w.Database, j.Reverse); err != nil {
			return err
		}
	}
	e.Outbound(w).print(out)
	_, err := fmt.Fprintf(out, "kernel: %s\n%s\n", w.kernelText(), e.Summarize(w))
	return err
}

func (e *Explainer) printSteps(out io.Writer, d *rpdb.Database, steps []rpdb.Step) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range steps {
		marker := " "
		if s.Outcome == rpdb.Decided {
			marker = ">"
		}
		fmt.Fprintf(w, "%s %5d\t%s\t%s\t%s\n", marker, s.Rule.Priority, d.Owner(s.Rule, e.names), s.Rule.Text(e.names), outcomeText(s))
	}
	return w.Flush()
}

// outcomeText returns the outcome of evaluating a rule as text.
func outcomeText(s rpdb.Step) string {
	switch s.Outcome {
	case rpdb.NotMatched:
		return "no: " + mismatchText(s)
	case rpdb.Empty:
		return "no route"
	case rpdb.Thrown:
		return fmt.Sprintf("%s: continues with the next rule", s.Route)
	case rpdb.TooShort:
		return fmt.Sprintf("suppressed, prefix too short: %s", s.Route)
	case rpdb.InGroup:
		return fmt.Sprintf("suppressed, link in group %d: %s", s.Rule.SuppressGroup, s.Route)
	case rpdb.Jumped:
		return fmt.Sprintf("goto %d", s.Rule.Goto)
	case rpdb.Unresolved:
		return fmt.Sprintf("no effect: rule %d does not exist", s.Rule.Goto)
	case rpdb.NoOp:
		return "continues with the next rule"
	}
	if s.Route == nil {
		return "refused"
	}
	return s.Route.String()
}

// mismatchText returns why the rule does not match.
func mismatchText(s rpdb.Step) string {
	if s.Rule.Not {
		return "excluded by not"
	}
	return s.Mismatch
}

// kernelText returns the kernel's answer as text.
func (w Trace) kernelText() string {
	switch {
	case w.NotQueried != "":
		return "not queried: " + w.NotQueried
	case w.Mismatch != "":
		return "DISAGREES: " + w.Mismatch
	case w.Result.ByHash:
		return "selects one of several next hops by the packet's hash: " + formatAnswer(w.Resolved)
	case w.Result.OnLink:
		return "agrees that there is no route and takes the destination for a neighbour: " + formatAnswer(w.Resolved)
	}
	return "agrees: " + formatAnswer(w.Resolved)
}

// formatAnswer formats the next hop and the source address that the kernel chooses, or its error.
func formatAnswer(a rpdb.Answer) string {
	if a.Route == nil {
		return a.Error.Error()
	}
	var words []string
	if a.Route.Type != uplinks.Unicast {
		words = append(words, a.Route.Kind())
	}
	for _, h := range a.Route.Hops {
		words = append(words, h.String())
	}
	if a.Route.Src.IsValid() {
		words = append(words, "src "+a.Route.Src.String())
	}
	return strings.Join(words, " ")
}
