package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"replypath/uplinks"
)

// filePolicy is a policy as written.
type filePolicy struct {
	name                                   string
	head                                   value
	tiers                                  []fileTier
	sticky, lastResort, failover, failback *stringValue
	avoidDegraded                          bool
}

// fileTier is one tier as written: a list within the list of tiers.
type fileTier struct {
	at      value
	members []string
}

// asPolicy reads one policy's table.
func (t table) asPolicy(name string, head value) filePolicy {
	t.rejectUnknownKeys(policyKeys)
	f := filePolicy{name: name, head: head, tiers: t.tiersAt("tiers"), sticky: t.stringAt("sticky", policyKeys), lastResort: t.stringAt("last_resort", policyKeys),
		failover: t.stringAt("failover", policyKeys), failback: t.stringAt("failback", policyKeys), avoidDegraded: t.boolAt("avoid_degraded", policyKeys)}
	if _, has := t.keys["tiers"]; !has {
		t.src.addMistake(head.keyRange(), fmt.Sprintf("policy %q has no tiers", name), "add tiers = "+policyKeys.example("tiers"))
	}
	return f
}

// tiersAt returns the list of lists of strings at the key.
func (t table) tiersAt(key string) (tiers []fileTier) {
	v, ok := t.valueAt(key)
	if !ok {
		return nil
	}
	elements, ok := v.raw.([]any)
	if !ok || len(elements) == 0 {
		v.addMistake("write "+key+" = "+policyKeys.example(key), "%s must be a list of lists of uplinks", key)
		return nil
	}
	for i, element := range elements {
		at := v
		at.element, at.raw = i, element
		tier := fileTier{at: at}
		members, isList := element.([]any)
		for _, m := range members {
			name, isText := m.(string)
			isList = isList && isText
			tier.members = append(tier.members, name)
		}
		if !isList || len(members) == 0 {
			at.addMistake("write each tier as a list, such as "+policyKeys.example(key), "a tier must be a list of uplinks")
			continue
		}
		tiers = append(tiers, tier)
	}
	return tiers
}

// policy checks one policy and returns it with the defaults filled in.
func (r *outboundResolver) policy(f filePolicy) uplinks.Policy {
	p := uplinks.Policy{Name: f.name, LastResort: uplinks.LastMain, MoveFailed: true, AvoidDegraded: f.avoidDegraded}
	reserved := []string{uplinks.UseMain, string(uplinks.LastUnreachable), string(uplinks.LastBlackhole), string(uplinks.LastProhibit)}
	src := f.head.in.src
	switch {
	case !isName(f.name):
		src.addMistake(f.head.keyRange(), fmt.Sprintf("%q is not a valid policy name", f.name), "use 1 to 15 of the characters a-z, 0-9, _ and -")
	case slices.Contains(reserved, f.name):
		src.addMistake(f.head.keyRange(), fmt.Sprintf("policy name %q is a word of the configuration", f.name), "use a name other than "+strings.Join(reserved, ", "))
	case r.hasUplink(f.name):
		src.addMistake(f.head.keyRange(), fmt.Sprintf("policy %q has the name of an uplink, which stands for the policy of it alone", f.name), "give the policy another name")
	}
	if f.lastResort != nil {
		p.LastResort = uplinks.LastResort(f.lastResort.oneOf(reserved...))
	}
	if f.failover != nil {
		p.MoveFailed = f.failover.oneOf("move", "keep") == "move"
	}
	if f.failback != nil {
		p.MoveBack = f.failback.oneOf("new", "move") == "move"
	}
	if f.sticky != nil {
		p.StickyClient = r.sticky(*f.sticky)
	}
	seen := map[string]bool{}
	for _, tier := range f.tiers {
		p.Tiers = append(p.Tiers, r.tier(tier, seen))
	}
	return p
}

// sticky checks the value and reports whether it is "client".
func (r *outboundResolver) sticky(t stringValue) bool {
	if t.oneOf("connection", "client") != "client" {
		return false
	}
	if first, ok := r.freeForSenders(); !ok {
		if first == 0 {
			t.addMistake("use a mask of 5 bits or more, such as 0x1f00", `sticky = "client" needs %d ids of the mask, and %s has only %d`, uplinks.SenderBuckets, r.config.Mask, r.config.Mask.MaxID())
		} else {
			t.addMistake(fmt.Sprintf("give the uplinks ids below %d, or use a wider mask such as 0xff00", first), `sticky = "client" needs the ids from %d to %d of the mask %s`, first, r.config.Mask.MaxID(), r.config.Mask)
		}
	}
	return true
}

// tier checks the members of one tier. seen has the uplinks of the policy so far.
func (r *outboundResolver) tier(t fileTier, seen map[string]bool) (members []uplinks.Member) {
	for _, text := range t.members {
		name, weight, hasWeight := strings.Cut(text, ":")
		m := uplinks.Member{Uplink: name, Weight: 1}
		if hasWeight {
			n, err := strconv.ParseUint(weight, 10, 8)
			if err != nil || n == 0 {
				t.at.addMistake("write it as NAME or NAME:WEIGHT, with a weight from 1 to 255", "%q has no weight from 1 to 255", text)
				continue
			}
			m.Weight = int(n)
		}
		switch {
		case seen[name]:
			t.at.addMistake("name each uplink once in a policy", "uplink %q is named twice in the policy", name)
			continue
		case r.known && !r.hasUplink(name):
			t.at.addMistake("use one of "+r.config.uplinkNames(), "%q is no uplink", name)
			continue
		}
		seen[name] = true
		members = append(members, m)
	}
	if len(members) > uplinks.MaxHops {
		t.at.addMistake(fmt.Sprintf("use at most %d uplinks in a tier", uplinks.MaxHops), "the tier has %d uplinks", len(members))
	}
	return members
}
