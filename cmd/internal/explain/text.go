package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"replypath/uplinks"
	"replypath/uplinks/rpdb"
)

// Print prints the way for people: each rule that was visited in one line, the one that decided with a >, what the kernel
// says, and the end in words.
func (e *Explainer) Print(out io.Writer, w Trace) error {
	j := w.Judgement
	direction := "a packet of this host's own"
	if w.Packet.In != "" {
		direction = "a packet that comes in"
	}
	fmt.Fprintf(out, "%s: %s\n", direction, w.Packet)
	if err := e.printSteps(out, w.Database, j.Steps); err != nil {
		return err
	}
	switch {
	case len(j.Reverse) == 0:
	case j.DropReason == "":
		fmt.Fprintf(out, "source check: lets it in (rp_filter=%d, effective)\n", w.Database.Links[w.Packet.In].Checks.RPFilter)
	default:
		fmt.Fprintf(out, "source check: the way back, as of %s\n", j.ReversePacket)
		if err := e.printSteps(out, w.Database, j.Reverse); err != nil {
			return err
		}
	}
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

// outcomeText is what came of a visit, in words.
func outcomeText(s rpdb.Step) string {
	switch s.Outcome {
	case rpdb.NotMatched:
		if s.Rule.Not {
			return "no: this is what it leaves out"
		}
		return "no: " + s.Mismatch
	case rpdb.Empty:
		return "no route"
	case rpdb.Thrown:
		return fmt.Sprintf("%s: ask on", s.Route)
	case rpdb.TooShort:
		return fmt.Sprintf("not taken, too short: %s", s.Route)
	case rpdb.InGroup:
		return fmt.Sprintf("not taken, link of group %d: %s", s.Rule.SuppressGroup, s.Route)
	case rpdb.Jumped:
		return fmt.Sprintf("on to %d", s.Rule.Goto)
	case rpdb.Unresolved:
		return fmt.Sprintf("no effect: there is no rule %d", s.Rule.Goto)
	case rpdb.NoOp:
		return "on to the next"
	}
	if s.Route == nil {
		return "refused"
	}
	return s.Route.String()
}

// kernelText is what the kernel says to the same question.
func (w Trace) kernelText() string {
	switch {
	case w.NotQueried != "":
		return "cannot be asked: " + w.NotQueried
	case w.Mismatch != "":
		return "DISAGREES with this walk: " + w.Mismatch
	case w.Judgement.ByHash:
		return "takes one of several hops, by the packet's hash, and that decides: " + formatAnswer(w.Resolved)
	case w.Judgement.OnLink:
		return "agrees that there is no route, and takes the destination for a neighbour: " + formatAnswer(w.Resolved)
	}
	return "agrees: " + formatAnswer(w.Resolved)
}

// formatAnswer is the kernel's answer for this packet: the hop, and the source that it chooses.
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
