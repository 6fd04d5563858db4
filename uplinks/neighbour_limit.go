package uplinks

// NeighbourLimit returns the sysctl with the largest number of neighbour entries that the kernel keeps for the family, in all network
// namespaces together.
func NeighbourLimit(f Family) Tunable {
	if f == IPv6 {
		return Tunable{Name: "net.ipv6.neigh.default.gc_thresh3"}
	}
	return Tunable{Name: "net.ipv4.neigh.default.gc_thresh3"}
}
