package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"replypath/cmd/terminal"
	"replypath/health"
)

// pollInterval is the interval of status requests.
const pollInterval = time.Second

// ANSI sequences: move to the upper left corner, erase the rest of the line, erase everything below.
const (
	cursorHome = "\x1b[H"
	clearLine  = "\x1b[K"
	clearRest  = "\x1b[J"
	clearAll   = cursorHome + "\x1b[2J"
)

// watch prints the status until ctx is done. It returns an error if the first request fails; later errors are printed, and
// requests go on.
func (p *program) watch(ctx context.Context, fetch func(context.Context) (health.Status, error)) error {
	s, err := fetch(ctx)
	if err != nil {
		return err
	}
	draw := p.appendChanges()
	if terminal.IsTerminal(p.stdout) && !p.json {
		draw = p.redraw()
	}
	ticks := time.NewTicker(pollInterval)
	defer ticks.Stop()
	for {
		if err := draw(s, err); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		s, err = fetch(ctx)
		if ctx.Err() != nil {
			return nil
		}
	}
}

// redraw returns a function that overwrites its previous output without flicker.
func (p *program) redraw() func(health.Status, error) error {
	before := ""
	return func(s health.Status, err error) error {
		text := ""
		if err != nil {
			text = sanitize(err.Error()) + "\n"
		} else {
			text = statusText(s, time.Now(), terminal.NewPalette(p.stdout))
		}
		if text == before {
			return nil
		}
		start := cursorHome
		if before == "" {
			start = clearAll
		}
		before = text
		_, err = io.WriteString(p.stdout, start+strings.ReplaceAll(text, "\n", clearLine+"\n")+clearRest)
		return err
	}
}

// appendChanges returns a function that prints the status, with --json as one line, if its fingerprint has changed.
func (p *program) appendChanges() func(health.Status, error) error {
	before := ""
	return func(s health.Status, err error) error {
		now := fingerprint(s)
		if err != nil {
			now = sanitize(err.Error())
		}
		if now == before {
			return nil
		}
		first := before == ""
		before = now
		switch {
		case err != nil:
			_, err = fmt.Fprintf(p.stderr, "replypath: %s\n", now)
		case p.json:
			err = json.NewEncoder(p.stdout).Encode(s)
		default:
			text := statusText(s, time.Now(), terminal.NewPalette(p.stdout))
			if !first {
				text = "\n" + text
			}
			_, err = io.WriteString(p.stdout, text)
		}
		return err
	}
}

// fingerprint returns a string that changes with the status, but not with measurements and counters.
func fingerprint(s health.Status) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%t %q %d %q", s.InSync, s.Error, s.RepairsWaiting, s.Problems)
	if s.Reload != nil {
		fmt.Fprintf(&text, " %d %q", s.Reload.At.UnixNano(), s.Reload.Error)
	}
	for _, u := range s.Uplinks {
		fmt.Fprintf(&text, "\n%q %q", u.Name, u.Interface)
		for _, f := range u.Families {
			fmt.Fprintf(&text, " %s %s %s %t %s", f.Family, f.State, proofLabel(f.Proof), f.Degraded != "", f.Since)
		}
	}
	if n := len(s.Events); n > 0 {
		fmt.Fprintf(&text, "\n%d", s.Events[n-1].ID)
	}
	return text.String()
}
