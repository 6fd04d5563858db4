package uplinks

import (
	"fmt"
	"strings"
)

// hostStep has the methods of steps that belong to no scope: a partial observation does not read their objects.
type hostStep struct{}

// Scope returns the whole host.
func (hostStep) Scope() Scope { return Scope{} }

func (hostStep) legend() string { return "" }

// chainsStep has the methods of steps that write chains, and what goes with chains.
type chainsStep struct{ hostStep }

// Kind returns KindChains.
func (chainsStep) Kind() Kind { return KindChains }

// udpStep has the methods of steps that write the BPF programs of [udp].
type udpStep struct{ hostStep }

// Kind returns KindUDP.
func (udpStep) Kind() Kind { return KindUDP }

// maxListed is the number of words of a list that a step names.
const maxListed = 8

// limitedList returns the first maxListed of the words, such as networks, and how many more there are.
func limitedList(words []string) string {
	if more := len(words) - maxListed; more > 0 {
		return strings.Join(words[:maxListed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(words, ", ")
}

// linkText returns the name of a link, or its index if it has none any more.
func linkText(name string, index int) string {
	if name == "" {
		return fmt.Sprintf("link %d, which is gone", index)
	}
	return name
}
