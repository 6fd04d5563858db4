package config

import "replypath/uplinks"

// The values of answer in [udp].
const (
	answerOff   = "off"
	answerAsked = "asked"
)

// Bounds of the number of clients and ports that are remembered: each takes about 130 bytes of the kernel's memory.
const (
	minUDPEntries = 1024
	maxUDPEntries = 1 << 22
)

// fileUDP is the table [udp] as written.
type fileUDP struct {
	answer, cgroup *stringValue
	entries        *intValue
}

func (t table) asUDP() fileUDP {
	return fileUDP{
		answer:  t.stringAt("answer", udpKeys),
		cgroup:  t.stringAt("cgroup", udpKeys),
		entries: t.intAt("entries", udpKeys),
	}
}

// udpAnswers sets whether UDP servers on the wildcard address are helped.
func (c *Config) udpAnswers(f fileUDP) {
	u := uplinks.UDPAnswers{
		Entries: inBounds(f.entries, uint32(uplinks.DefaultUDPEntries), minUDPEntries, maxUDPEntries, "each entry is a client and a port, and takes about 130 bytes of the kernel's memory"),
		Cgroup:  f.cgroup.asPath(""),
	}
	switch {
	case f.answer == nil:
		for _, v := range []*value{f.cgroup.written(), f.entries.written()} {
			if v != nil {
				v.addMistake(`add answer = "asked", or remove `+v.key, "%s is set without answer", v.key)
			}
		}
	case f.answer.val == answerAsked:
		c.UDP = &u
	case f.answer.val != answerOff:
		f.answer.addMistake(`use "asked" or "off"`, "unknown answer %q", f.answer.val)
	}
}

// written returns the value, nil if the key is absent or empty.
func (t *stringValue) written() *value {
	if !t.isSet() {
		return nil
	}
	return &t.value
}

// written returns the value, nil if the key is absent.
func (n *intValue) written() *value {
	if n == nil {
		return nil
	}
	return &n.value
}
