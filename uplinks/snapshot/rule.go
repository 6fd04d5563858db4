package snapshot

import (
	"fmt"

	"replypath/marks/nlattr"
	"replypath/uplinks"
)

// Flags of a rule that are a part of it (FIB_RULE_INVERT, FIB_RULE_FIND_SADDR); others are of its state.
const (
	flagInvert    = 0x2
	flagsOfRule   = 0x10002
	actionLookup  = 1
	actionGoto    = 2
	noSuppression = ^uint32(0)
)

// RuleText returns the line, without kind and family, of a rule as the kernel sends it, from behind the header of netlink on.
func RuleText(m []byte, f uplinks.Family) (string, error) {
	if len(m) < headerSize {
		return "", fmt.Errorf("%w: a rule of %d bytes", errValue, len(m))
	}
	attrs := m[headerSize:]
	out := []string{"priority", fmt.Sprint(nlattr.Find(attrs, rulePriority).Uint32())}
	if native.Uint32(m[offsetFlags:])&flagInvert != 0 {
		out = append(out, "not")
	}
	for _, end := range []struct {
		key    string
		attr   uint16
		length uint8
	}{{"from", ruleFrom, m[offsetFrmLen]}, {"to", ruleTo, m[offsetToLen]}} {
		text, same := prefixWord(attrs, end.attr, end.length, f)
		if !same {
			return "", fmt.Errorf("%w: a rule %s an address of %d bits", errValue, end.key, end.length)
		}
		if text != "default" {
			out = append(out, end.key, text)
		}
	}
	if tos := m[offsetTOS]; tos != 0 {
		out = append(out, "tos", fmt.Sprintf("%#x", tos))
	}
	if flags := native.Uint32(m[offsetFlags:]) & flagsOfRule &^ flagInvert; flags != 0 {
		out = append(out, "flags", fmt.Sprintf("%#x", flags))
	}
	return line(writeFields(actionWords(out, m), attrs, ruleFields, ruleUnwritten(m)...)), nil
}

// actionWords appends the action, unless the table or the target of the rule says it.
func actionWords(out []string, m []byte) []string {
	action := m[offsetAction]
	if name, known := actionNames[action]; known {
		return append(out, name)
	}
	implied := uint8(actionLookup)
	if target, same := decimal32.wordOf(nlattr.Find(m[headerSize:], ruleGoto)); same && target != "" {
		implied = actionGoto
	}
	if action == implied {
		return out
	}
	return append(out, "action", fmt.Sprint(action))
}

// ruleUnwritten returns the attributes that are written elsewhere, or say nothing: no suppression, no table.
func ruleUnwritten(m []byte) []uint16 {
	skip := []uint16{rulePriority, ruleFrom, ruleTo, rulePadding}
	for t, v := range nlattr.All(m[headerSize:]) {
		suppress := t == 13 || t == 14
		if suppress && len(v) == 4 && v.Uint32() == noSuppression || t == ruleTable && m[offsetAction] != actionLookup && v.Uint32() == 0 {
			skip = append(skip, t)
		}
	}
	return skip
}

// RuleMessage returns the message of a line.
func RuleMessage(text string, f uplinks.Family) ([]byte, error) {
	r, h := newReader(text, f), header(f)
	h[offsetAction] = actionLookup
	var attrs []byte
	flags, action := uint32(0), false
	for !r.done() {
		switch key := r.next(""); key {
		case "priority":
			attrs = nlattr.Append(attrs, rulePriority, native.AppendUint32(nil, uint32(r.number(key, 32))))
		case "not":
			flags |= flagInvert
		case "flags":
			flags |= uint32(r.number(key, 32)) & flagsOfRule
		case "from":
			var v []byte
			v, h[offsetFrmLen] = r.prefix(key)
			attrs = nlattr.Append(attrs, ruleFrom, v)
		case "to":
			var v []byte
			v, h[offsetToLen] = r.prefix(key)
			attrs = nlattr.Append(attrs, ruleTo, v)
		case "tos":
			h[offsetTOS] = uint8(r.number(key, 8))
		case "action":
			h[offsetAction], action = uint8(r.number(key, 8)), true
		case "nop", "blackhole", "unreachable", "prohibit":
			h[offsetAction], action = actionOf(key), true
		default:
			if key == "goto" && !action {
				h[offsetAction] = actionGoto
			}
			attrs = r.attr(attrs, key, ruleFields)
		}
	}
	native.PutUint32(h[offsetFlags:], flags)
	setTable(h, attrs, ruleTable)
	return append(h, attrs...), r.err
}

// actionOf returns the number of an action by its name.
func actionOf(name string) uint8 {
	for n, other := range actionNames {
		if other == name {
			return n
		}
	}
	return 0
}
