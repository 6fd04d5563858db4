package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// First is the first line of a document.
const First = "replypath snapshot 1"

// The kinds of lines. Each is followed by what the line is about, then by its value.
const (
	KindGroup  = "group"  // LINK GROUP [was ORIGINAL]
	KindSysctl = "sysctl" // NAME VALUE [was ORIGINAL]
	KindRule   = "rule"   // FAMILY and the rule
	KindRoute  = "route"  // FAMILY and the route
	KindChain  = "chain"  // FAMILY BACKEND NAME: a chain of replypath
	KindAppend = "append" // FAMILY BACKEND CHAIN and a rule of it
	KindHook   = "hook"   // FAMILY BACKEND BUILTIN and the rule of it that jumps to a chain of replypath
	KindMangle = "mangle" // FAMILY BACKEND -P, -N or -A, CHAIN: of other programs, as iptables-save prints it
)

// Kinds are all kinds, in the order of a document.
var Kinds = []string{KindGroup, KindSysctl, KindRule, KindRoute, KindChain, KindAppend, KindHook, KindMangle}

// Document is the state of a host, line by line, without comments.
type Document []string

// ErrFormat is the error of a file that is no snapshot.
var ErrFormat = errors.New("not a snapshot")

// Parse reads a document. It checks the kinds of the lines, not their values.
func Parse(text string) (d Document, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	if strings.TrimSpace(first) != First {
		return nil, fmt.Errorf("%w: the first line is not %q", ErrFormat, First)
	}
	number := 1
	for l := range strings.SplitSeq(rest, "\n") {
		number++
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		if err := checkLine(l); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, number, err)
		}
		d = append(d, l)
	}
	return d, nil
}

// checkLine returns an error unless the line begins with a kind and goes on. Chains have the quotation marks of their commands.
func checkLine(l string) error {
	kind := strings.Fields(l)[0]
	switch all, err := words(l); {
	case !slices.Contains(Kinds, kind):
		return fmt.Errorf("%q begins with none of %s", l, strings.Join(Kinds, ", "))
	case len(strings.Fields(l)) < 3:
		return fmt.Errorf("%q is too short", l)
	case slices.Contains([]string{KindGroup, KindSysctl, KindRule, KindRoute}, kind) && (err != nil || len(all) < 3):
		return fmt.Errorf("%q is too short, or has an odd quotation mark", l)
	}
	return nil
}

// Text returns the document as a file, with these comments.
func (d Document) Text(comments ...string) string {
	var b strings.Builder
	b.WriteString(First + "\n")
	for _, c := range comments {
		b.WriteString("# " + c + "\n")
	}
	kind := ""
	for _, l := range d {
		if k, _, _ := strings.Cut(l, " "); k != kind {
			kind = k
			b.WriteString("\n")
		}
		b.WriteString(l + "\n")
	}
	return b.String()
}

// Line returns a line of the words. Empty ones are left out.
func Line(words ...string) string {
	return line(slices.DeleteFunc(words, func(w string) bool { return w == "" }))
}

func line(words []string) string { return strings.Join(words, " ") }

// Of returns the lines of a kind, without it.
func (d Document) Of(kind string) (all []string) {
	for _, l := range d {
		if rest, is := strings.CutPrefix(l, kind+" "); is {
			all = append(all, rest)
		}
	}
	return all
}

// ParseValue reads the line of a link group or a sysctl, without its kind. ours reports that replypath had set it.
func ParseValue(l string) (name, value string, ours bool, err error) {
	all, err := words(l)
	if err != nil || len(all) != 2 && (len(all) != 4 || all[2] != "was") {
		return "", "", false, fmt.Errorf("%w: a name, a value, and perhaps was with the original are expected", errors.Join(errValue, err))
	}
	name, err = Unquote(all[0])
	value, failed := Unquote(all[1])
	return name, value, len(all) == 4, errors.Join(err, failed)
}
