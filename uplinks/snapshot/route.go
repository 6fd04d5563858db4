package snapshot

import (
	"fmt"
	"slices"
	"strings"

	"replypath/marks/nlattr"
	"replypath/uplinks"
)

const (
	offsetProtocol = 5
	offsetScope    = 6
	// flagsOfHop are the flags of a next hop that are a part of it (RTNH_F_PERVASIVE, RTNH_F_ONLINK); others are of its state.
	flagsOfHop = 0x6
	hopSize    = 8 // struct rtnexthop
)

// Links names the links of a host.
type Links struct {
	Name  func(index int) string         // "" for none
	Index func(name string) (int, error) // the error names the link
}

// RouteText returns the line, without kind and family, of a route as the kernel sends it, from behind the header of netlink on.
func RouteText(m []byte, f uplinks.Family, links Links) (string, error) {
	if len(m) < headerSize {
		return "", fmt.Errorf("%w: a route of %d bytes", errValue, len(m))
	}
	attrs := m[headerSize:]
	to, same := prefixWord(attrs, routeTo, m[offsetToLen], f)
	from, sameFrom := prefixWord(attrs, routeFrom, m[offsetFrmLen], f)
	if !same || !sameFrom {
		return "", fmt.Errorf("%w: a route to %d and from %d bits", errValue, m[offsetToLen], m[offsetFrmLen])
	}
	out := []string{fmt.Sprint(m[offsetAction]), to}
	if int(m[offsetAction]) < len(typeNames) {
		out[0] = typeNames[m[offsetAction]]
	}
	if from != "default" {
		out = append(out, "from", from)
	}
	skip := []uint16{routeTo, routeFrom, routeIn, routeOut, routeMultipath, routeCacheInfo, routeExpires, routePadding}
	byNexthop := nlattr.Find(attrs, routeNexthop) != nil
	if byNexthop {
		skip = append(skip, routeGateway, routeVia)
	}
	out = writeFields(out, attrs, routeFields, skip...)
	if index := nlattr.Find(attrs, routeOut); index != nil && !byNexthop {
		out = append(out, "dev", linkWord(links, index.Uint32()))
	}
	for _, part := range []struct {
		key   string
		value uint32
	}{{"tos", uint32(m[offsetTOS])}, {"protocol", uint32(m[offsetProtocol])}, {"scope", uint32(m[offsetScope])}, {"flags", native.Uint32(m[offsetFlags:]) & flagsOfHop}} {
		if part.value != 0 {
			out = append(out, part.key, fmt.Sprint(part.value))
		}
	}
	if byNexthop {
		return line(out), nil
	}
	return line(appendHops(out, nlattr.Find(attrs, routeMultipath), links)), nil
}

// appendHops appends the next hops of a route with several.
func appendHops(out []string, hops []byte, links Links) []string {
	for len(hops) >= hopSize {
		length := int(native.Uint16(hops))
		if length < hopSize || length > len(hops) {
			break
		}
		h := hops[:length]
		out = append(out, "nexthop", "dev", linkWord(links, native.Uint32(h[4:])), "weight", fmt.Sprint(int(h[3])+1))
		if flags := h[2] & flagsOfHop; flags != 0 {
			out = append(out, "flags", fmt.Sprint(flags))
		}
		out = writeFields(out, h[hopSize:], hopFields)
		hops = hops[min((length+3)&^3, len(hops)):]
	}
	return out
}

// linkWord returns the name of the link, or index:NUMBER for one that is gone.
func linkWord(links Links, index uint32) string {
	if name := links.Name(int(index)); name != "" {
		return Quote(name)
	}
	return fmt.Sprintf("index:%d", index)
}

// RouteMessage returns the message of a line.
func RouteMessage(text string, f uplinks.Family, links Links) ([]byte, error) {
	r, h := newReader(text, f), header(f)
	kind := r.next("route")
	if at := slices.Index(typeNames, kind); at >= 0 {
		h[offsetAction] = uint8(at)
	} else {
		r.words = append([]string{kind}, r.words...)
		h[offsetAction] = uint8(r.number("type", 8))
	}
	var attrs, hops []byte
	to, length := r.prefix("route")
	h[offsetToLen] = length
	if to != nil {
		attrs = nlattr.Append(attrs, routeTo, to)
	}
	flags := uint32(0)
	for !r.done() {
		switch key := r.next(""); key {
		case "from":
			var v []byte
			v, h[offsetFrmLen] = r.prefix(key)
			attrs = nlattr.Append(attrs, routeFrom, v)
		case "dev":
			attrs = nlattr.Append(attrs, routeOut, native.AppendUint32(nil, r.link(links)))
		case "tos":
			h[offsetTOS] = uint8(r.number(key, 8))
		case "protocol":
			h[offsetProtocol] = uint8(r.number(key, 8))
		case "scope":
			h[offsetScope] = uint8(r.number(key, 8))
		case "flags":
			flags = uint32(r.number(key, 8)) & flagsOfHop
		case "nexthop":
			hops = append(hops, r.hop(links)...)
		default:
			attrs = r.attr(attrs, key, routeFields)
		}
	}
	if hops != nil {
		attrs = nlattr.Append(attrs, routeMultipath, hops)
	}
	native.PutUint32(h[offsetFlags:], flags)
	setTable(h, attrs, routeTable)
	return append(h, attrs...), r.err
}

// link returns the index of the link that comes next.
func (r *reader) link(links Links) uint32 {
	w := r.next("dev")
	name, err := Unquote(w)
	if err == nil && strings.HasPrefix(w, "index:") {
		err = fmt.Errorf("%w: the link was gone", errValue)
	}
	index := 0
	if err == nil {
		index, err = links.Index(name)
	}
	if err != nil {
		r.fail("dev %s: %w", w, err)
	}
	return uint32(index)
}

// hop returns one next hop, up to the next one.
func (r *reader) hop(links Links) []byte {
	h := make([]byte, hopSize)
	var attrs []byte
	for !r.done() && r.words[0] != "nexthop" {
		switch key := r.next(""); key {
		case "dev":
			native.PutUint32(h[4:], r.link(links))
		case "weight":
			n := r.number(key, 9)
			if n < 1 || n > 256 {
				r.fail("weight %d: a number from 1 to 256 is expected", n)
			}
			h[3] = uint8(n - 1)
		case "flags":
			h[2] = uint8(r.number(key, 8)) & flagsOfHop
		default:
			attrs = r.attr(attrs, key, hopFields)
		}
	}
	native.PutUint16(h, uint16(hopSize+len(attrs)))
	return append(h, attrs...)
}
