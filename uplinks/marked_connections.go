package uplinks

// MarkedConnections counts the conntrack entries with one mark.
type MarkedConnections struct {
	Mark    uint32
	Count   int
	Example string // the first entry: protocol and both ends
}
