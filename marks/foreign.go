package marks

import (
	"slices"
	"strings"
)

// Foreign is a firewall rule of another program, with what of it can concern ours.
type Foreign struct {
	Tool  string // how its kind is listed: iptables-nft-save, nft list ruleset
	Place string // the table and the chain
	Chain string
	Text  string
	Bits  Mask // of fwmark or ctmark, that it compares or writes
	Value Mark // what it compares them with, or writes
	// Writes says that it writes them, Wipes that it writes all bits, and not those of Bits alone.
	Writes, Wipes bool
	In, Out       string // the only links that it holds for, as far as they are known; empty: any
	// Checks says that it refuses what the way back leads elsewhere than to its link; Marked, that it looks for that way
	// with the packet's mark, where our chains have given it one already.
	Checks, Marked bool
	Untracks       bool // NOTRACK
	Offloads       bool // connections pass by the firewall from then on
	Clamps         bool // it lowers the MSS of TCP
}

// Full are all bits of a mark.
const Full Mask = 0xffffffff

// Concerns reports whether anything of the rule can concern ours.
func (f Foreign) Concerns() bool {
	return f.Bits != 0 || f.Checks || f.Untracks || f.Offloads || f.Clamps
}

// ParseForeign reads all rules that are not ours from what iptables-save(8) prints, and names the tables that are in it.
func ParseForeign(tool, saved string) (all []Foreign, tables []string) {
	table := ""
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		if name, begins := strings.CutPrefix(line, "*"); begins {
			table = name
			tables = append(tables, name)
		}
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "-A" || ours(words) {
			continue
		}
		f := Foreign{Tool: tool, Place: table + " " + words[1], Chain: words[1], Text: line}
		f.read(table, words)
		all = append(all, f)
	}
	return all, tables
}

func ours(words []string) bool {
	if strings.HasPrefix(words[1], Prefix) {
		return true
	}
	at := slices.Index(words, "-j")
	return at >= 0 && at+1 < len(words) && strings.HasPrefix(words[at+1], Prefix)
}

// read goes by the words as iptables-save prints them; what stands between quotes can be anything.
func (f *Foreign) read(table string, words []string) {
	has := func(options ...string) bool {
		return slices.ContainsFunc(options, func(o string) bool { return slices.Contains(words, o) })
	}
	for i, w := range words[:len(words)-1] {
		switch {
		case strings.HasPrefix(words[i+1], `"`):
		case w == "--mark" || w == "--set-xmark" || w == "--set-mark":
			f.mark(words[i+1], w != "--mark")
		case w == "-j" && words[i+1] == "CONNMARK" && has("--save-mark", "--restore-mark"):
			f.copies(words)
		case w == "-m" && words[i+1] == "rpfilter":
			// In raw no chain of ours has been passed yet.
			f.Checks, f.Marked = !has("--loose"), has("--validmark") && table == Table
		case w == "-j" && words[i+1] == "NOTRACK", w == "-j" && words[i+1] == "CT" && has("--notrack"):
			f.Untracks = true
		case w == "-j" && words[i+1] == "FLOWOFFLOAD":
			f.Offloads = true
		case w == "-j" && words[i+1] == "TCPMSS":
			f.Clamps = true
		case w == "-i" && words[i-1] != "!":
			f.In = words[i+1]
		case w == "-o" && words[i-1] != "!":
			f.Out = words[i+1]
		}
	}
}

// mark reads mark/mask. A mark without a mask concerns all bits.
func (f *Foreign) mark(text string, writes bool) {
	p := parser{words: []string{text}}
	c := p.mark(false)
	if p.err != nil {
		return
	}
	f.Bits |= c.Mask
	f.Value |= c.Mark
	f.Writes = f.Writes || writes
	f.Wipes = f.Wipes || writes && c.Mask == Full
}

func (f *Foreign) copies(words []string) {
	for _, option := range []string{"--nfmask", "--ctmask", "--mask"} {
		mask := Full
		if at := slices.Index(words, option); at >= 0 && at+1 < len(words) {
			p := parser{}
			mask = Mask(p.number(words[at+1]))
		} else if option == "--mask" {
			continue
		}
		f.Bits |= mask
		f.Writes = true
		f.Wipes = f.Wipes || mask == Full
	}
}
