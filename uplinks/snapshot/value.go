package snapshot

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"replypath/marks/nlattr"
)

// kind is how the value of an attribute is written as one word.
type kind struct {
	text  func(nlattr.Value) string
	bytes func(string) ([]byte, error)
}

var native = binary.NativeEndian

var errValue = errors.New("a value cannot be read")

// number returns the kind of a number of so many bytes, in this notation.
func number(size int, format string, order binary.ByteOrder) kind {
	return kind{
		text: func(v nlattr.Value) string {
			var all [8]byte
			if order == binary.ByteOrder(binary.BigEndian) {
				copy(all[8-min(size, len(v)):], v)
			} else {
				copy(all[:], v)
			}
			return fmt.Sprintf(format, order.Uint64(all[:]))
		},
		bytes: func(text string) ([]byte, error) {
			n, err := strconv.ParseUint(text, 0, 8*size)
			all := make([]byte, 8)
			order.PutUint64(all, n)
			if order == binary.ByteOrder(binary.BigEndian) {
				return all[8-size:], err
			}
			return all[:size], err
		},
	}
}

// The kinds of values.
var (
	decimal8    = number(1, "%d", binary.LittleEndian)
	decimal32   = number(4, "%d", nativeOrder())
	mask8       = number(1, "%#x", binary.LittleEndian)
	mask16      = number(2, "%#x", nativeOrder())
	mask32      = number(4, "%#x", nativeOrder())
	network32   = number(4, "%#x", binary.BigEndian)
	network64   = number(8, "%d", binary.BigEndian)
	hexadecimal = kind{
		text:  func(v nlattr.Value) string { return "0x" + hex.EncodeToString(v) },
		bytes: func(text string) ([]byte, error) { return hex.DecodeString(strings.TrimPrefix(text, "0x")) },
	}
	word = kind{
		text: func(v nlattr.Value) string { return Quote(string(bytes.TrimSuffix(v, []byte{0}))) },
		bytes: func(text string) ([]byte, error) {
			name, err := Unquote(text)
			return append([]byte(name), 0), err
		},
	}
	address = kind{
		text:  func(v nlattr.Value) string { return v.Addr().String() },
		bytes: addressBytes,
	}
	// otherAddress is a struct rtvia: an address of another family (linux/rtnetlink.h).
	otherAddress = kind{
		text: func(v nlattr.Value) string { return v[min(2, len(v)):].Addr().String() },
		bytes: func(text string) ([]byte, error) {
			a, err := addressBytes(text)
			family := uint16(familyIPv4)
			if len(a) == 16 {
				family = familyIPv6
			}
			return append(native.AppendUint16(nil, family), a...), err
		},
	}
	ports = pair(2, func(v nlattr.Value) uint64 { return uint64(v.Uint16()) }, func(b []byte, n uint64) []byte { return native.AppendUint16(b, uint16(n)) })
	users = pair(4, func(v nlattr.Value) uint64 { return uint64(v.Uint32()) }, func(b []byte, n uint64) []byte { return native.AppendUint32(b, uint32(n)) })
)

// nativeOrder returns the byte order of this machine.
func nativeOrder() binary.ByteOrder {
	if native.Uint16([]byte{1, 0}) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

// pair returns the kind of two numbers of so many bytes, FIRST-LAST.
func pair(size int, read func(nlattr.Value) uint64, write func([]byte, uint64) []byte) kind {
	return kind{
		text: func(v nlattr.Value) string {
			return fmt.Sprintf("%d-%d", read(v), read(v[min(size, len(v)):]))
		},
		bytes: func(text string) (b []byte, err error) {
			first, last, _ := strings.Cut(text, "-")
			for _, end := range []string{first, last} {
				n, failed := strconv.ParseUint(end, 10, 8*size)
				b, err = write(b, n), errors.Join(err, failed)
			}
			return b, err
		},
	}
}

func addressBytes(text string) ([]byte, error) {
	a, err := netip.ParseAddr(text)
	if err == nil && a.Zone() != "" {
		err = errValue
	}
	return a.AsSlice(), err
}

// wordOf returns the value as a word of the kind, or false if the word would not give the same value.
func (k kind) wordOf(v nlattr.Value) (string, bool) {
	text := k.text(v)
	back, err := k.bytes(text)
	return text, err == nil && bytes.Equal(back, v) && text != ""
}

// Quote returns the text as one word.
func Quote(text string) string {
	plain := text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !strings.ContainsRune("-_.:@+%*/=,", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if plain {
		return text
	}
	return strconv.QuoteToASCII(text)
}

// Unquote returns the text of a word.
func Unquote(text string) (string, error) {
	if !strings.HasPrefix(text, `"`) {
		return text, nil
	}
	return strconv.Unquote(text)
}

// words returns the words of a line. A word in quotation marks may have spaces.
func words(line string) (all []string, err error) {
	for line = strings.TrimLeft(line, " \t"); line != ""; line = strings.TrimLeft(line, " \t") {
		next, failed := strconv.QuotedPrefix(line)
		if line[0] != '"' {
			end := strings.IndexAny(line, " \t")
			if end < 0 {
				end = len(line)
			}
			next, failed = line[:end], nil
		}
		if failed != nil {
			return nil, fmt.Errorf("a quotation mark has no end: %s", line)
		}
		all, line = append(all, next), line[len(next):]
	}
	return all, nil
}
