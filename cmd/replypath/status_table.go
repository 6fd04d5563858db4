package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"replypath/health"
)

// wide is how many columns a line has at most.
const wide = 80

// shownEvents is how many of the last events are shown to people.
const shownEvents = 5

// statusText is a status for people, who look at it now.
func statusText(s health.Status, now time.Time, p paint) string {
	var out strings.Builder
	about(&out, s, p)
	if len(s.Uplinks) > 0 {
		out.WriteByte('\n')
		table(&out, s.Uplinks, now, p)
	}
	if last := s.Events[max(0, len(s.Events)-shownEvents):]; len(last) > 0 {
		out.WriteByte('\n')
		for _, e := range last {
			fact(&out, e.At.Local().Format(time.TimeOnly), plain(e.Text))
		}
	}
	return out.String()
}

// about says how the service and the kernel stand.
func about(out *strings.Builder, s health.Status, p paint) {
	sync := p.good("in sync")
	if !s.InSync {
		sync = p.bad("not in sync")
	}
	fmt.Fprintf(out, "%-8s  %s since %s: %s in %s\n", "kernel", sync, clock(s.Since), count(s.Changes, "change"), count(s.Rounds, "round"))
	if s.Error != "" {
		fact(out, "error", plain(s.Error))
	}
	if s.Waiting > 0 {
		fact(out, "waiting", count(s.Waiting, "repair")+", as somebody undoes them again and again: see the log")
	}
	for _, problem := range s.Problems {
		fact(out, "problem", plain(problem))
	}
	switch {
	case s.Reload == nil:
	case s.Reload.Error != "":
		fact(out, "reload", fmt.Sprintf("refused at %s: %s", clock(s.Reload.At), plain(s.Reload.Error)))
	default:
		fact(out, "reload", "at "+clock(s.Reload.At))
	}
}

// fact writes a word and what is to be said about it, in as many lines as it takes.
func fact(out *strings.Builder, word, text string) {
	for _, line := range fold(text, wide-10) {
		fmt.Fprintf(out, "%-8s  %s\n", word, line)
		word = ""
	}
}

var columns = []string{"UPLINK", "INTERFACE", "FAMILY", "STATE", "RTT", "LOSS", "PROOF", "SINCE"}

// row is a line of the table, and what there is to say below it.
type row struct {
	cells []string // without colour
	state func(string) string
	notes []string
}

// table has a line for each uplink and family.
func table(out *strings.Builder, all []health.UplinkStatus, now time.Time, p paint) {
	rows := []row{{cells: columns, state: func(s string) string { return s }}}
	for _, u := range all {
		rows = append(rows, rowsOf(u, now, p)...)
	}
	widths := make([]int, len(columns))
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
				cell = r.state(cell) // padded as if it had no colour
			}
			line.WriteString(cell + pad)
		}
		text := strings.TrimRight(line.String(), " ")
		if n == 0 {
			text = p.bold(text)
		}
		out.WriteString(text + "\n")
		for _, note := range r.notes {
			for _, line := range fold(note, wide-2) {
				out.WriteString("  " + line + "\n")
			}
		}
	}
}

func rowsOf(u health.UplinkStatus, now time.Time, p paint) (all []row) {
	colour := map[health.State]func(string) string{health.Up: p.good, health.Unproven: p.poor}
	of := func(s health.State) func(string) string {
		if c := colour[s]; c != nil {
			return c
		}
		return p.bad
	}
	name, link := plain(u.Name), plain(u.Interface)
	if len(u.Families) == 0 {
		return []row{{cells: []string{name, link, "-", string(u.State), "-", "-", "-", "-"}, state: of(u.State)}}
	}
	for _, f := range u.Families {
		rtt, loss := measures(f.Probes)
		r := row{cells: []string{name, link, f.Family.String(), string(f.State), rtt, loss, proofWord(f.Proof), age(now, f.Since)}, state: of(f.State)}
		if f.State == health.Up && f.Degraded != "" {
			r.state = p.poor
		}
		r.notes = notes(f)
		all = append(all, r)
		name, link = "", ""
	}
	return all
}

// notes say why, and what to do.
func notes(f health.Standing) (all []string) {
	add := func(text string) {
		if text = plain(text); text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	add(f.Reason)
	if f.Degraded != "" {
		add("degraded: " + f.Degraded)
	}
	for _, c := range []health.Check{f.Proof.Asked, f.Proof.Shown} {
		if c.Result == health.No && !strings.Contains(f.Reason, c.Why) {
			add(c.Why)
		}
		if c.Result == health.No && c.Remedy != "" && !strings.Contains(f.Reason, c.Remedy) {
			add("remedy: " + c.Remedy)
		}
	}
	return all
}

// proofWord is the best that is known of the reply path, or "no".
func proofWord(p health.Proof) string {
	switch {
	case p.Asked.Result == health.No || p.Shown.Result == health.No:
		return "no"
	case p.Shown.Result == health.Yes:
		return "shown"
	case p.Asked.Result == health.Yes:
		return "asked"
	}
	return "-"
}

// measures are the mean round trip and loss of the probes whose targets are good.
func measures(all []health.Answers) (rtt, loss string) {
	var seconds, percent float64
	var answered, asked int
	for _, a := range all {
		if a.Bad || a.Sent == 0 {
			continue
		}
		asked++
		percent += a.Percent
		if a.Mean > 0 {
			answered++
			seconds += a.Mean
		}
	}
	rtt, loss = "-", "-"
	if answered > 0 {
		rtt = short(seconds / float64(answered))
	}
	if asked > 0 {
		loss = share(percent / float64(asked))
	}
	return rtt, loss
}
