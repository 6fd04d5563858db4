package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// formatSeconds formats a duration in at most 6 characters below 1000 s.
func formatSeconds(seconds float64) string {
	switch ms := 1000 * seconds; {
	case ms < 9.95:
		return fmt.Sprintf("%.1fms", ms)
	case ms < 999.5:
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.1fs", seconds)
}

// formatPercent formats a percentage without decimals.
func formatPercent(percent float64) string {
	if percent > 0 && percent < 1 {
		return "<1%"
	}
	return fmt.Sprintf("%.0f%%", percent)
}

// formatAge formats the time from then to now, in two units at most.
func formatAge(now, then time.Time) string {
	d := max(now.Sub(then), 0)
	switch {
	case then.IsZero():
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

func formatTime(t time.Time) string { return t.Local().Format(time.DateTime) }

// sanitize replaces control characters, which could control the terminal, and white space by single spaces.
func sanitize(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsGraphic(c)
	}), " ")
}

// wrapText wraps a text at spaces to the given number of columns. Longer words are not broken.
func wrapText(text string, columns int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= columns:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
