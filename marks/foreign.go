package marks

import (
	"slices"
	"strings"
)

// ForeignRule is a firewall rule of another program, with what of it can concern ours.
type ForeignRule struct {
	Tool      string // how its kind is listed: iptables-nft-save, nft list ruleset
	Location  string // the table and the chain
	Chain     string
	Text      string
	MarkBits  Mask // of fwmark or ctmark, that it compares or writes
	MarkValue Mark // what it compares them with, or writes
	// Writes says that it writes them, OverwritesMark that it writes all bits, and not those of MarkBits alone.
	WritesMark, OverwritesMark bool
	In, Out                    string // the only links that it holds for, as far as they are known; empty: any
	// Checks says that it refuses what the way back leads elsewhere than to its link; ChecksWithMark, that it looks for that way
	// with the packet's mark, where our chains have given it one already.
	ChecksReversePath, ChecksWithMark bool
	NoTrack                           bool // NOTRACK
	FlowOffload                       bool // connections pass by the firewall from then on
	ClampsMSS                         bool // it lowers the MSS of TCP
}

// FullMask are all bits of a mark.
const FullMask Mask = 0xffffffff

// Relevant reports whether anything of the rule can concern ours.
func (f ForeignRule) Relevant() bool {
	return f.MarkBits != 0 || f.ChecksReversePath || f.NoTrack || f.FlowOffload || f.ClampsMSS
}

// ParseSaved reads all rules that are not ours from what iptables-save(8) prints, and names the tables that are in it.
func ParseSaved(tool, saved string) (rules []ForeignRule, tables []string) {
	table := ""
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		if name, isTable := strings.CutPrefix(line, "*"); isTable {
			table = name
			tables = append(tables, name)
		}
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "-A" || isOurs(words) {
			continue
		}
		f := ForeignRule{Tool: tool, Location: table + " " + words[1], Chain: words[1], Text: line}
		f.parseOptions(table, words)
		rules = append(rules, f)
	}
	return rules, tables
}

func isOurs(words []string) bool {
	if strings.HasPrefix(words[1], Prefix) {
		return true
	}
	at := slices.Index(words, "-j")
	return at >= 0 && at+1 < len(words) && strings.HasPrefix(words[at+1], Prefix)
}

// parseOptions goes by the words as iptables-save prints them; what stands between quotes can be anything.
func (f *ForeignRule) parseOptions(table string, words []string) {
	has := func(options ...string) bool {
		return slices.ContainsFunc(options, func(o string) bool { return slices.Contains(words, o) })
	}
	for i, w := range words[:len(words)-1] {
		switch {
		case strings.HasPrefix(words[i+1], `"`):
		case w == "--mark" || w == "--set-xmark" || w == "--set-mark":
			f.parseMark(words[i+1], w != "--mark")
		case w == "-j" && words[i+1] == "CONNMARK" && has("--save-mark", "--restore-mark"):
			f.parseMarkCopy(words)
		case w == "-m" && words[i+1] == "rpfilter":
			// In raw no chain of ours has been passed yet.
			f.ChecksReversePath, f.ChecksWithMark = !has("--loose"), has("--validmark") && table == MangleTable
		case w == "-j" && words[i+1] == "NOTRACK", w == "-j" && words[i+1] == "CT" && has("--notrack"):
			f.NoTrack = true
		case w == "-j" && words[i+1] == "FLOWOFFLOAD":
			f.FlowOffload = true
		case w == "-j" && words[i+1] == "TCPMSS":
			f.ClampsMSS = true
		case w == "-i" && words[i-1] != "!":
			f.In = words[i+1]
		case w == "-o" && words[i-1] != "!":
			f.Out = words[i+1]
		}
	}
}

// parseMark reads mark/mask. A mark without a mask concerns all bits.
func (f *ForeignRule) parseMark(text string, writes bool) {
	p := parser{words: []string{text}}
	c := p.mark(false)
	if p.err != nil {
		return
	}
	f.MarkBits |= c.Mask
	f.MarkValue |= c.Mark
	f.WritesMark = f.WritesMark || writes
	f.OverwritesMark = f.OverwritesMark || writes && c.Mask == FullMask
}

func (f *ForeignRule) parseMarkCopy(words []string) {
	for _, option := range []string{"--nfmask", "--ctmask", "--mask"} {
		mask := FullMask
		if at := slices.Index(words, option); at >= 0 && at+1 < len(words) {
			p := parser{}
			mask = Mask(p.number(words[at+1]))
		} else if option == "--mask" {
			continue
		}
		f.MarkBits |= mask
		f.WritesMark = true
		f.OverwritesMark = f.OverwritesMark || mask == FullMask
	}
}
