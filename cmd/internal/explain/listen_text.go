package explain

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"text/tabwriter"

	"replypath/uplinks/rpdb"
)

// PrintReplies prints the sockets and their replies as text.
func (e *Explainer) PrintReplies(out io.Writer, all []ListeningSocket) error {
	for _, l := range all {
		fmt.Fprintf(out, "%s\n", l.describe())
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, r := range l.Replies {
			fmt.Fprintf(w, "  request to %s by %s\t%s\t%s\n", r.To, e.linkText(r.Uplink.Link), e.replyText(r), verdictText(r.Symmetric))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if len(l.Replies) == 0 {
			fmt.Fprintln(out, "  it receives no request by an uplink")
		}
		if l.KernelSource && slices.ContainsFunc(l.Replies, func(r Reply) bool { return !r.Symmetric }) {
			fmt.Fprintf(out, "remedy: %s\n", replyRemedy(l.Process))
		}
	}
	return nil
}

func (l ListeningSocket) describe() string {
	process := "unknown process"
	switch {
	case l.Process != "":
		process = fmt.Sprintf("%s, process %s", l.Process, l.PID)
	case l.Addr.IsUnspecified() && l.Proto == rpdb.UDP && !l.KernelSource && !l.PktInfo:
		process = "of the kernel (WireGuard replies from the address that received the packet)"
	}
	at := netip.AddrPortFrom(l.Addr, l.Port).String()
	if l.Peer.IsValid() {
		at += " connected to " + l.Peer.String()
	}
	text := fmt.Sprintf("%s %s: %s", rpdb.ProtocolName(l.Proto), at, process)
	switch {
	case l.Peer.IsValid() && l.KernelSource:
		text += "; the kernel chose its address when it was connected"
	case l.PktInfo:
		text += "; on the wildcard address with IP_PKTINFO: it replies from the address that received the request"
	case l.Helped:
		text += "; on the wildcard address without IP_PKTINFO, helped by [udp]: it replies from the address that received the request"
	case l.KernelSource && l.PktInfoUnknown:
		text += "; on the wildcard address: the kernel chooses the source of its replies, unless it uses IP_PKTINFO"
	case l.KernelSource:
		text += "; on the wildcard address without IP_PKTINFO: the kernel chooses the source of its replies"
	}
	return text
}

// replyText returns the source and the link of a reply.
func (e *Explainer) replyText(r Reply) string {
	link := r.Trace.Link()
	switch {
	case link == "":
		return "no reply: " + e.Summarize(r.Trace)
	case !r.From.IsValid():
		return "reply by " + e.linkText(link)
	}
	return fmt.Sprintf("reply from %s by %s", r.From, e.linkText(link))
}

func verdictText(symmetric bool) string {
	if symmetric {
		return "right"
	}
	return "WRONG"
}

// ListenReport is the sockets in JSON.
type ListenReport struct {
	Version int            `json:"version"`
	Sockets []SocketReport `json:"sockets"`
}

// SocketReport is a socket in JSON.
type SocketReport struct {
	Protocol     string        `json:"protocol"`
	Address      string        `json:"address"`
	Port         uint16        `json:"port"`
	Process      string        `json:"process,omitempty"`
	PID          string        `json:"pid,omitempty"`
	Peer         string        `json:"peer,omitempty"`
	KernelSource bool          `json:"kernel_chooses_source"`
	Replies      []ReplyReport `json:"answers"`
	Helped       bool          `json:"helped,omitempty"`
	Remedy       string        `json:"remedy,omitempty"`
}

// ReplyReport is a reply in JSON.
type ReplyReport struct {
	Uplink    string `json:"uplink"`
	To        string `json:"asked"`
	From      string `json:"from,omitempty"`
	Link      string `json:"link,omitempty"`
	Symmetric bool   `json:"right"`
}

// ReportReplies returns the sockets for JSON.
func (e *Explainer) ReportReplies(all []ListeningSocket) ListenReport {
	r := ListenReport{Version: 1, Sockets: []SocketReport{}}
	for _, l := range all {
		s := SocketReport{Protocol: rpdb.ProtocolName(l.Proto), Address: l.Addr.String(), Port: l.Port, Process: l.Process, PID: l.PID,
			KernelSource: l.KernelSource, Helped: l.Helped, Replies: []ReplyReport{}}
		if l.Peer.IsValid() {
			s.Peer = l.Peer.String()
		}
		for _, a := range l.Replies {
			from := ""
			if a.From.IsValid() {
				from = a.From.String()
			}
			s.Replies = append(s.Replies, ReplyReport{a.Uplink.Name, a.To.String(), from, a.Trace.Link(), a.Symmetric})
			if !a.Symmetric && l.KernelSource {
				s.Remedy = replyRemedy(l.Process)
			}
		}
		r.Sockets = append(r.Sockets, s)
	}
	return r
}
