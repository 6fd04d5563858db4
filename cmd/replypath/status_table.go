package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"replypath/cmd/terminal"
	"replypath/health"
	"replypath/uplinks"
)

// maxColumns is the largest width of a line.
const maxColumns = 80

// shownEvents is the number of recent events in the text.
const shownEvents = 5

// statusText formats a status as text. Ages are relative to now.
func statusText(s health.Status, now time.Time, p terminal.Palette) string {
	var out strings.Builder
	writeSummary(&out, s, now, p)
	if len(s.Uplinks) > 0 {
		out.WriteByte('\n')
		writeTable(&out, s.Uplinks, now, p)
	}
	writeOutbound(&out, s.Outbound, now, p)
	if last := s.Events[max(0, len(s.Events)-shownEvents):]; len(last) > 0 {
		out.WriteByte('\n')
		for _, e := range last {
			writeField(&out, e.At.Local().Format(time.TimeOnly), sanitize(e.Text))
		}
	}
	return out.String()
}

// writeSummary writes the state of the kernel and of the service.
func writeSummary(out *strings.Builder, s health.Status, now time.Time, p terminal.Palette) {
	sync := p.Green("in sync")
	if !s.InSync {
		sync = p.Red("not in sync")
	}
	fmt.Fprintf(out, "%-8s  %s since %s: %s in %s\n", "kernel", sync, formatTime(s.Since), pluralize(s.Changes, "change"), pluralize(s.Rounds, "round"))
	if s.Error != "" {
		writeField(out, "error", sanitize(s.Error))
	}
	if s.RepairsWaiting > 0 {
		writeField(out, "waiting", pluralize(s.RepairsWaiting, "repair")+" delayed, as another program keeps undoing them: see the log")
	}
	for _, problem := range s.Problems {
		writeField(out, "problem", sanitize(problem))
	}
	writeConfiguration(out, s)
	writePeer(out, s.Peer)
	writeProxies(out, s.Proxies)
	writeRouters(out, s.Uplinks, now)
	if s.UDP != nil {
		writeField(out, "udp", sanitize(s.UDP.Text()))
	}
	if s.Acceleration != nil {
		writeField(out, "flows", sanitize(s.Acceleration.Text()))
	}
	for _, m := range s.Mismarked {
		writeField(out, "marks", sanitize(m.String())+": "+uplinks.MismarkedRemedy)
	}
	switch {
	case s.Reload == nil:
	case s.Reload.Error != "":
		writeField(out, "reload", fmt.Sprintf("rejected at %s: %s", formatTime(s.Reload.At), sanitize(s.Reload.Error)))
	default:
		writeField(out, "reload", "at "+formatTime(s.Reload.At))
	}
}

// writePeer writes how the other node of a pair differs, or why that is not known.
func writePeer(out *strings.Builder, peer *health.PeerStatus) {
	if peer == nil {
		return
	}
	for _, d := range peer.Differences {
		writeField(out, "peer", "differs: "+sanitize(d))
	}
	switch {
	case peer.Error != "":
		writeField(out, "peer", "not compared: "+sanitize(peer.Error))
	case len(peer.Differences) > 0:
		writeField(out, "", "remedy: "+health.PeerRemedy)
	case !peer.At.IsZero():
		writeField(out, "peer", "agrees: "+sanitize(peer.URL))
	}
}

// writeConfiguration writes how the configuration file differs from what is in force, unless the last reload says it.
func writeConfiguration(out *strings.Builder, s health.Status) {
	c := s.Configuration
	if c == nil {
		return
	}
	refused := s.Reload != nil && s.Reload.Error != "" && (c.State == health.FileUnconfirmed || c.State == health.FileInvalid)
	if c.Why != "" && !refused {
		writeField(out, "config", sanitize(c.Why+", which is not in force: "+c.Remedy))
	}
	if c.ConfirmBy != nil {
		writeField(out, "config", "is rolled back at "+formatTime(*c.ConfirmBy)+" unless it is confirmed: replypath confirm")
	}
	if c.Unsaved != "" {
		writeField(out, "config", "is not saved for the next start: "+sanitize(c.Unsaved))
	}
}

// writeField writes a label and a wrapped text.
func writeField(out *strings.Builder, label, text string) {
	for _, line := range wrapText(text, maxColumns-10) {
		fmt.Fprintf(out, "%-8s  %s\n", label, line)
		label = ""
	}
}

var headers = []string{"UPLINK", "INTERFACE", "FAMILY", "STATE", "RTT", "LOSS", "PROOF", "SINCE"}

// row is a line of the table, and the notes below it.
type row struct {
	cells  []string // without escape sequences
	colour func(string) string
	notes  []string
	path   string // the uplink and the family; empty for the headers
}

// writeTable writes a line for each uplink and family.
func writeTable(out *strings.Builder, all []health.UplinkStatus, now time.Time, p terminal.Palette) {
	rows := []row{{cells: headers, colour: func(s string) string { return s }}}
	for _, u := range all {
		rows = append(rows, uplinkRows(u, now, p)...)
	}
	shared := shareNotes(rows)
	widths := make([]int, len(headers))
	for _, r := range rows {
		for i, cell := range r.cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, r := range rows {
		var line strings.Builder
		for i, cell := range r.cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			if i == 3 {
				cell = r.colour(cell) // after pad was computed: escape sequences have no width
			}
			line.WriteString(cell + pad)
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 {
			text = p.Bold(text)
		}
		out.WriteString(text + "\n")
		writeNotes(out, r.notes)
	}
	for _, s := range shared {
		writeNotes(out, append([]string{strings.Join(s.labels, ", ") + ":"}, strings.Split(s.text, "\n")...))
	}
}

func writeNotes(out *strings.Builder, notes []string) {
	for _, note := range notes {
		for _, line := range wrapText(note, maxColumns-2) {
			out.WriteString("  " + line + "\n")
		}
	}
}

// shareNotes takes equal notes off the rows that have them, and returns them once, with the paths of these rows.
func shareNotes(rows []row) (shared labelled) {
	for _, r := range rows {
		if len(r.notes) > 0 {
			shared.add(r.path, strings.Join(r.notes, "\n"))
		}
	}
	shared = slices.DeleteFunc(shared, func(s labelledText) bool { return len(s.labels) < 2 })
	for i, r := range rows {
		if slices.ContainsFunc(shared, func(s labelledText) bool { return slices.Contains(s.labels, r.path) }) {
			rows[i].notes = nil
		}
	}
	return shared
}

func uplinkRows(u health.UplinkStatus, now time.Time, p terminal.Palette) (all []row) {
	colour := map[health.State]func(string) string{health.Up: p.Green, health.Standby: p.Green, health.Unproven: p.Yellow}
	stateColour := func(s health.State) func(string) string {
		if c := colour[s]; c != nil {
			return c
		}
		return p.Red
	}
	name, link := sanitize(u.Name), sanitize(u.Interface)
	if len(u.Families) == 0 {
		return []row{{cells: []string{name, link, "-", string(u.State), "-", "-", "-", "-"}, colour: stateColour(u.State)}}
	}
	for _, f := range u.Families {
		rtt, loss := averages(f.Probes)
		r := row{cells: []string{name, link, f.Family.String(), string(f.State), rtt, loss, proofLabel(f.Proof), formatAge(now, f.Since)}, colour: stateColour(f.State)}
		if f.State == health.Up && f.Degraded != "" {
			r.colour = p.Yellow
		}
		r.notes, r.path = pathNotes(f), sanitize(u.Name)+" "+f.Family.String()
		all = append(all, r)
		name, link = "", ""
	}
	return all
}

// pathNotes returns the reasons for the state of a path, and remedies.
func pathNotes(f health.FamilyStatus) (all []string) {
	add := func(text string) {
		if text = sanitize(text); text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	add(f.Reason)
	if f.Degraded != "" {
		add("degraded: " + f.Degraded)
	}
	verdict := f.Proof.Verdict()
	for _, c := range []health.ProofCheck{f.Proof.Routes, f.Proof.Strays, f.Proof.Trace} {
		switch {
		case isInconclusive(verdict) && c == verdict && f.State == health.Up:
			add("reply path unknown: " + c.Detail)
		case c.Result != health.No && !c.Warning():
			continue
		case verdict.Warning():
			add("warning: " + c.Detail)
		case !strings.Contains(f.Reason, c.Detail):
			add(c.Detail)
		}
		if c.Remedy != "" && !strings.Contains(f.Reason, c.Remedy) {
			add("remedy: " + c.Remedy)
		}
	}
	return all
}

// isInconclusive reports whether the verdict is that replies were lost, or may be lost, of which nothing more can be known. It is not
// where nothing could be shown: the routing decision is the evidence there.
func isInconclusive(verdict health.ProofCheck) bool {
	return verdict.Result == health.Unknown && verdict.Cause != "" && verdict.Cause != health.TraceUnavailable
}

// proofLabel returns "no" for a negative verdict, "unknown" for an inconclusive one, "warning" for a warning, else the strongest positive
// evidence.
func proofLabel(p health.Proof) string {
	verdict := p.Verdict()
	switch {
	case verdict.Result == health.No:
		return "no"
	case isInconclusive(verdict):
		return "unknown"
	case verdict.Warning():
		return "warning"
	case p.Trace.Result == health.Yes:
		return "shown"
	case p.Routes.Result == health.Yes:
		return "asked"
	}
	return "-"
}

// averages returns the mean round-trip time and the loss over all probes except those of bad targets.
func averages(all []health.ProbeStatus) (rtt, loss string) {
	var seconds, percent float64
	var answered, counted int
	for _, a := range all {
		if a.BadTarget || a.Sent == 0 {
			continue
		}
		counted++
		percent += a.LossPercent
		if a.MeanRTTSeconds > 0 {
			answered++
			seconds += a.MeanRTTSeconds
		}
	}
	rtt, loss = "-", "-"
	if answered > 0 {
		rtt = formatSeconds(seconds / float64(answered))
	}
	if counted > 0 {
		loss = formatPercent(percent / float64(counted))
	}
	return rtt, loss
}
