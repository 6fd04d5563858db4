package marks

import (
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// ParseRule parses a rule as iptables prints it, without the leading -A CHAIN. The spellings of different versions and
// backends of iptables yield the same Rule. It returns an error for rules that Rule cannot express.
func ParseRule(line string) (Rule, error) {
	p := parser{words: strings.Fields(line)}
	var r Rule
	for len(p.words) > 0 && p.err == nil {
		p.option(&r)
	}
	if p.err != nil {
		return Rule{}, fmt.Errorf("mangle rule %q: %w", line, p.err)
	}
	return r, nil
}

// parser consumes the words of a rule.
type parser struct {
	words   []string
	module  string   // the match of the current options
	options []string // parsed so far
	err     error
}

func (p *parser) next() string {
	if len(p.words) == 0 {
		p.fail("ends early")
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

// peek returns the next word without consuming it.
func (p *parser) peek() string {
	if len(p.words) == 0 {
		return ""
	}
	return p.words[0]
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) option(r *Rule) {
	not := false
	word := p.next()
	if word == "!" {
		not, word = true, p.next()
	}
	p.rejectRepeated(word)
	switch {
	case word == "--mark" && p.module == "mark":
		r.Fwmark = p.mark(not)
	case word == "--mark":
		r.Ctmark = p.mark(not)
	case not && word == "--ctstatus":
		p.requireWord("ASSURED")
		r.NotAssured = true
	case p.packetOption(word, not, &r.Packet):
	case word == "-i":
		r.In, r.NotIn = p.next(), not
	case not:
		p.fail("! %s is not supported", word)
	case word == "-m":
		p.match()
	case word == "-o":
		r.Out = p.next()
	case word == "--src-group":
		if r.SrcGroup = p.number(p.next()); r.SrcGroup == 0 {
			p.fail("the group of all other links is not supported")
		}
	case word == "--dst-group":
		if r.DstGroup = p.number(p.next()); r.DstGroup == 0 {
			p.fail("the group of all other links is not supported")
		}
	case strings.HasPrefix(word, "--cluster-"):
		p.cluster(&r.Cluster, word)
	case word == "--mac-source":
		r.MAC = p.hardwareAddr()
	case word == "--bytecode":
		r.MACBit = p.macBit()
	case word == "--ctorigsrc":
		r.OrigFrom = p.prefix()
	case word == "--ctdir":
		if r.Dir = p.next(); r.Dir != "ORIGINAL" && r.Dir != "REPLY" {
			p.fail("--ctdir %s is not supported", r.Dir)
		}
	case word == "--ctrepldst":
		r.ReplyTo = p.prefix()
	case word == "--dir":
		p.requireWord("out")
	case word == "--pol":
		p.requireWord("ipsec")
		r.IPsec = true
	case word == "-j":
		r.Action = p.target()
	case word == "-g":
		r.Action = Action{Kind: Goto, Chain: p.next()}
	default:
		p.fail("%s is not supported", word)
	}
}

// rejectRepeated refuses a second option of a kind: iptables allows it and both must match, which Rule cannot express.
// A match without options matches everything, so -m may repeat.
func (p *parser) rejectRepeated(option string) {
	switch {
	case option == "--mark" && p.module == "mark":
		option = "fwmark"
	case option == "-g":
		option = "-j"
	}
	if option != "-m" && slices.Contains(p.options, option) {
		p.fail("a second %s is not supported", option)
	}
	p.options = append(p.options, option)
}

func (p *parser) match() {
	switch p.module = p.next(); p.module {
	case "devgroup", "mark", "connmark", "conntrack", "addrtype", "multiport", "cluster", "mac", "bpf", "policy":
	default:
		p.fail("match %s is not supported", p.module)
	}
}

func (p *parser) target() Action {
	switch t := p.next(); t {
	case "RETURN":
		return Action{Kind: Return}
	case "DROP":
		return Action{Kind: Drop}
	case "CONNMARK":
		return p.connmark()
	case "MARK":
		p.requireWord("--set-xmark")
		m := p.mark(false)
		return Action{Kind: SetMark, Mark: m.Mark, Mask: m.Mask}
	case "TPROXY":
		return p.tproxy()
	case "MASQUERADE":
		return Action{Kind: Masquerade}
	default:
		return Action{Kind: Jump, Chain: t}
	}
}

func (p *parser) connmark() Action {
	switch option := p.next(); option {
	case "--set-xmark":
		m := p.mark(false)
		return Action{Kind: SetCtmark, Mark: m.Mark, Mask: m.Mask}
	case "--restore-mark":
		return p.markCopy(option, RestoreMark)
	case "--save-mark":
		return p.markCopy(option, SaveMark)
	default:
		p.fail("CONNMARK %s is not supported", option)
		return Action{}
	}
}

// cluster parses an option of the match cluster. The hash of a share is matched by a mask with one bit.
func (p *parser) cluster(c *Cluster, option string) {
	n := p.number(p.next())
	switch option {
	case "--cluster-total-nodes":
		c.Total = n
	case "--cluster-hash-seed":
		c.Seed = n
	case "--cluster-local-node":
		if c.Node = n - 1; n == 0 {
			p.fail("node 0 is not supported")
		}
	case "--cluster-local-nodemask":
		if bits.OnesCount32(n) != 1 {
			p.fail("%s %#x is not supported", option, n)
			return
		}
		c.Node = uint32(bits.TrailingZeros32(n))
	default:
		p.fail("%s is not supported", option)
	}
}

// markCopy parses the masks of a restored or saved mark, which must agree. A mask that is not printed is the full mask.
func (p *parser) markCopy(option string, verb ActionKind) Action {
	masks := map[string]Mask{"--nfmask": FullMask, "--ctmask": FullMask}
	for len(p.words) > 0 {
		word := p.next()
		if _, known := masks[word]; !known {
			p.fail("CONNMARK %s is not supported", word)
			return Action{}
		}
		masks[word] = Mask(p.number(p.next()))
	}
	if masks["--nfmask"] != masks["--ctmask"] {
		p.fail("the masks of %s differ", option)
	}
	return Action{Kind: verb, Mask: masks["--ctmask"]}
}

// hardwareAddr parses the hardware address of an Ethernet link. iptables prints it in upper case.
func (p *parser) hardwareAddr() string {
	word := p.next()
	mac, err := net.ParseMAC(word)
	if err != nil || len(mac) != hardwareAddrSize {
		p.fail("%q is not a hardware address", word)
		return ""
	}
	return mac.String()
}

// hardwareAddrSize is the size of a hardware address of Ethernet.
const hardwareAddrSize = 6

func (p *parser) requireWord(want string) {
	if got := p.next(); got != want {
		p.fail("%s is not supported", got)
	}
}

// mark parses MARK/MASK. A mask that is not printed is the full mask.
func (p *parser) mark(not bool) MarkMatch {
	mark, mask, hasMask := strings.Cut(p.next(), "/")
	m := MarkMatch{Not: not, Mask: FullMask}
	n := p.number(mark)
	m.Mark = Mark(n)
	if hasMask {
		n = p.number(mask)
		m.Mask = Mask(n)
	}
	return m
}

// prefix parses ADDRESS or ADDRESS/LENGTH. The length 0 matches every packet, which no rule of replypath needs.
func (p *parser) prefix() netip.Prefix {
	word := p.next()
	prefix, err := netip.ParsePrefix(word)
	if err != nil {
		a, failed := netip.ParseAddr(word)
		prefix, err = netip.PrefixFrom(a, a.BitLen()), failed
	}
	if err != nil || prefix != prefix.Masked() || prefix.Bits() == 0 || prefix.Addr().Zone() != "" || prefix.Addr().Is4In6() {
		p.fail("%q is not a network", word)
		return netip.Prefix{}
	}
	return prefix
}

func (p *parser) number(s string) uint32 {
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		p.fail("%q is not a number", s)
	}
	return uint32(n)
}

// ParseMarkMatch parses MARK/MASK or MARK, in the notations of strconv.ParseUint with base 0.
func ParseMarkMatch(text string) (MarkMatch, error) {
	p := parser{words: []string{text}}
	m := p.mark(false)
	return m, p.err
}
