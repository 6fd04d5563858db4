package snapshot

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"replypath/marks/nlattr"
	"replypath/uplinks"
)

// headerSize is the size of struct rtmsg and of struct fib_rule_hdr. The lengths of the addresses are at the same places in both.
const (
	headerSize   = 12
	offsetToLen  = 1
	offsetFrmLen = 2
	offsetTOS    = 3
	offsetTable  = 4
	offsetAction = 7 // of a rule; the type of a route
	offsetFlags  = 8
)

// compatTable is the table in the header if the number does not fit there (RT_TABLE_COMPAT).
const compatTable = 252

// reader consumes the words of a line.
type reader struct {
	words  []string
	family uplinks.Family
	err    error
}

func newReader(text string, f uplinks.Family) *reader {
	all, err := words(text)
	return &reader{all, f, err}
}

func (r *reader) done() bool { return r.err != nil || len(r.words) == 0 }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// next returns the next word, which follows the given one.
func (r *reader) next(after string) string {
	if len(r.words) == 0 {
		r.fail("the value of %s is missing", after)
		return ""
	}
	w := r.words[0]
	r.words = r.words[1:]
	return w
}

func (r *reader) number(key string, bits int) uint64 {
	w := r.next(key)
	n, err := strconv.ParseUint(w, 0, bits)
	if err != nil {
		r.fail("%s %s: a number of %d bits is expected", key, w, bits)
	}
	return n
}

// prefix returns the network that follows the key, as the value of an attribute and the length in the header.
func (r *reader) prefix(key string) ([]byte, uint8) {
	w := r.next(key)
	if w == "default" {
		return nil, 0
	}
	p, err := netip.ParsePrefix(w)
	if err != nil {
		a, failed := netip.ParseAddr(w)
		p, err = netip.PrefixFrom(a, a.BitLen()), failed
	}
	if err != nil || uplinks.FamilyOf(p.Addr()) != r.family || p.Addr().Is4In6() && r.family == uplinks.IPv4 || p.Addr().Zone() != "" {
		r.fail("%s %s: a network of %s is expected", key, w, r.family)
		return nil, 0
	}
	return p.Addr().AsSlice(), uint8(p.Bits())
}

// attr appends the attribute that the key and the next words are.
func (r *reader) attr(b []byte, key string, fields []field) []byte {
	if key == "attr" {
		t, value := r.number(key, 14), r.next(key)
		v, err := hexadecimal.bytes(value)
		if err != nil || len(v) > 1<<15 {
			r.fail("attr %d %s: bytes in hexadecimal are expected", t, value)
			return b
		}
		return nlattr.Append(b, uint16(t), v)
	}
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
	if i < 0 {
		r.fail("%q is not known here", key)
		return b
	}
	w := r.next(key)
	v, err := fields[i].kind.bytes(w)
	if err != nil {
		r.fail("%s %s: %w", key, w, err)
	}
	return nlattr.Append(b, fields[i].attr, v)
}

// prefixWord returns the network of an attribute with the length of the header, or false if the word would not give both back.
func prefixWord(attrs []byte, attr uint16, bits uint8, f uplinks.Family) (string, bool) {
	v := nlattr.Find(attrs, attr)
	if v == nil {
		return "default", bits == 0
	}
	p := v.Prefix(bits)
	return p.String(), p.IsValid() && uplinks.FamilyOf(p.Addr()) == f && (f == uplinks.IPv6 || len(v) == 4)
}

// header returns a header for the family.
func header(f uplinks.Family) []byte {
	b := make([]byte, headerSize)
	b[0] = familyIPv4
	if f == uplinks.IPv6 {
		b[0] = familyIPv6
	}
	return b
}

// setTable completes the header by the table that the attribute has.
func setTable(header, attrs []byte, attr uint16) {
	n := nlattr.Find(attrs, attr).Uint32()
	if n > 255 {
		n = compatTable
	}
	header[offsetTable] = uint8(n)
}
