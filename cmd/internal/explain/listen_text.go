package explain

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"text/tabwriter"

	"replypath/uplinks/rpdb"
)

// PrintListening prints who listens, and how questions by each uplink are answered, for people.
func (e *Explainer) PrintListening(out io.Writer, all []Listening) error {
	for _, l := range all {
		fmt.Fprintf(out, "%s\n", l.who())
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, r := range l.Answers {
			fmt.Fprintf(w, "  asked at %s by %s\t%s\t%s\n", r.Asked, e.byLink(r.Uplink.Link), e.answered(r), rightness(r.Right))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if len(l.Answers) == 0 {
			fmt.Fprintln(out, "  no question by an uplink reaches it")
		}
		if l.Chooses && slices.ContainsFunc(l.Answers, func(r Reply) bool { return !r.Right }) {
			fmt.Fprintf(out, "remedy: %s\n", remedy(l.Process))
		}
	}
	return nil
}

func (l Listening) who() string {
	process := "the process is not to be seen"
	switch {
	case l.Process != "":
		process = fmt.Sprintf("%s, process %s", l.Process, l.PID)
	case l.Addr.IsUnspecified() && l.Proto == rpdb.UDP && !l.Chooses && !l.Told:
		process = "the kernel's own (WireGuard answers from where it was asked)"
	}
	text := fmt.Sprintf("%s %s: %s", rpdb.ProtocolName(l.Proto), netip.AddrPortFrom(l.Addr, l.Port), process)
	switch {
	case l.Told:
		text += "; on any address, and it asks at which one it was asked, to answer from there (IP_PKTINFO)"
	case l.Chooses && l.Unsure:
		text += "; on any address, so the kernel chooses where its answers come from, unless it asks for the address"
	case l.Chooses:
		text += "; on any address, so the kernel chooses where its answers come from: it does not ask for the address"
	}
	return text
}

// answered is where an answer comes from and leaves by.
func (e *Explainer) answered(r Reply) string {
	link := r.Way.Link()
	switch {
	case link == "":
		return "not answered: " + e.Words(r.Way)
	case !r.From.IsValid():
		return "answered by " + e.byLink(link)
	}
	return fmt.Sprintf("answered from %s by %s", r.From, e.byLink(link))
}

func rightness(right bool) string {
	if right {
		return "right"
	}
	return "WRONG"
}

// ListenReport is who listens, for programs.
type ListenReport struct {
	Version int            `json:"version"`
	Sockets []SocketReport `json:"sockets"`
}

// SocketReport is a socket, for programs.
type SocketReport struct {
	Protocol string        `json:"protocol"`
	Address  string        `json:"address"`
	Port     uint16        `json:"port"`
	Process  string        `json:"process,omitempty"`
	PID      string        `json:"pid,omitempty"`
	Chooses  bool          `json:"kernel_chooses_source"`
	Answers  []ReplyReport `json:"answers"`
	Remedy   string        `json:"remedy,omitempty"`
}

// ReplyReport is an answer, for programs.
type ReplyReport struct {
	Uplink string `json:"uplink"`
	Asked  string `json:"asked"`
	From   string `json:"from,omitempty"`
	Link   string `json:"link,omitempty"`
	Right  bool   `json:"right"`
}

// ListenReport is who listens, for programs.
func (e *Explainer) ListenReport(all []Listening) ListenReport {
	r := ListenReport{Version: 1, Sockets: []SocketReport{}}
	for _, l := range all {
		s := SocketReport{Protocol: rpdb.ProtocolName(l.Proto), Address: l.Addr.String(), Port: l.Port, Process: l.Process, PID: l.PID,
			Chooses: l.Chooses, Answers: []ReplyReport{}}
		for _, a := range l.Answers {
			from := ""
			if a.From.IsValid() {
				from = a.From.String()
			}
			s.Answers = append(s.Answers, ReplyReport{a.Uplink.Name, a.Asked.String(), from, a.Way.Link(), a.Right})
			if !a.Right && l.Chooses {
				s.Remedy = remedy(l.Process)
			}
		}
		r.Sockets = append(r.Sockets, s)
	}
	return r
}
