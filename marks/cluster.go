package marks

import "fmt"

// Cluster matches the connections of one share of all senders (iptables-extensions(8), cluster): those whose original source
// address has a hash that is Node modulo Total. The zero Cluster matches all.
type Cluster struct {
	Total uint32 // at most 32
	Node  uint32 // from 0
	Seed  uint32 // of the hash
}

// String formats the match as iptables(8) reads it: its nodes are counted from 1, and it prints a mask of nodes that it does not read.
func (c Cluster) String() string {
	return fmt.Sprintf("-m cluster --cluster-total-nodes %d --cluster-local-node %d --cluster-hash-seed %#x", c.Total, c.Node+1, c.Seed)
}
