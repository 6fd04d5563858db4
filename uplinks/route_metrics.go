package uplinks

import "strings"

// Metrics holds the metrics of a route that are set (rtnetlink(7), RTA_METRICS), in the kernel's order, each as its name in
// ip-route(8), "lock" if it is locked, and its value in the kernel's unit: "mtu lock 1400 advmss 1360 rtt 80". It is a string
// so that routes are comparable by ==; empty: none.
type Metrics string

// arguments returns the metrics as arguments of ip-route(8), which has words for the bits of features, and locks rto_min
// without a word.
func (m Metrics) arguments() string {
	words := strings.Fields(string(m))
	for i := 0; i+1 < len(words); i++ {
		switch {
		case words[i] == "features" && words[i+1] == "1":
			words[i+1] = "ecn"
		case words[i] == "rto_min" && words[i+1] == "lock":
			words = append(words[:i+1], words[i+2:]...)
		}
	}
	return strings.Join(words, " ")
}
